export type ColourScale = readonly (readonly [number, string])[];

/** A higher rank is darker (ColorBrewer YlGnBu; Plotly's own is reversed). */
export const lightScale: ColourScale = [
  [0, "#ffffd9"],
  [0.125, "#edf8b1"],
  [0.25, "#c7e9b4"],
  [0.375, "#7fcdbb"],
  [0.5, "#41b6c4"],
  [0.625, "#1d91c0"],
  [0.75, "#225ea8"],
  [0.875, "#253494"],
  [1, "#081d58"],
];

/** A higher rank is brighter (Viridis). */
export const darkScale: ColourScale = [
  [0, "#440154"],
  [0.125, "#472d7b"],
  [0.25, "#3b528b"],
  [0.375, "#2c728e"],
  [0.5, "#21918c"],
  [0.625, "#28ae80"],
  [0.75, "#5ec962"],
  [0.875, "#addc30"],
  [1, "#fde725"],
];

/** Less is orange, more is blue (ColorBrewer PuOr turned to blue): distinguishable with every common kind of colour blindness. */
export const lightSigned: ColourScale = [
  [0, "#7f3b08"],
  [0.125, "#b35806"],
  [0.25, "#e08214"],
  [0.375, "#fdc98a"],
  [0.5, "#fbfaf7"],
  [0.625, "#a9cfe8"],
  [0.75, "#4a90c4"],
  [0.875, "#1f5f9e"],
  [1, "#0b2f5c"],
];

/** The same two colours, brighter the further from 0. */
export const darkSigned: ColourScale = [
  [0, "#ffd08a"],
  [0.125, "#f5a742"],
  [0.25, "#c97a1e"],
  [0.375, "#7d4c17"],
  [0.5, "#20252b"],
  [0.625, "#1d4a73"],
  [0.75, "#2f7cba"],
  [0.875, "#5cacea"],
  [1, "#b3dcff"],
];

type Rgb = [number, number, number];

const rgb = (hex: string): Rgb => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as Rgb;

/** The colour at a share (0..1) of the scale, mixed linearly in sRGB, as Plotly does. */
export function colourAt(scale: ColourScale, share: number): Rgb {
  const at = Math.min(1, Math.max(0, share));
  for (let index = 1; index < scale.length; index++) {
    const [end, endColour] = scale[index] ?? [1, "#000000"];
    const [start, startColour] = scale[index - 1] ?? [0, "#000000"];
    if (at > end) continue;
    const part = (at - start) / (end - start || 1);
    const from = rgb(startColour);
    const to = rgb(endColour);
    return from.map((value, channel) => Math.round(value + ((to[channel] ?? 0) - value) * part)) as Rgb;
  }
  return rgb(scale.at(-1)?.[1] ?? "#000000");
}

/** Relative luminance (WCAG 2). */
export function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever reads better on the colour: a contrast of at least 4.58. */
export const inkOn = (colour: Rgb): "black" | "white" => (luminance(colour) > 0.179 ? "black" : "white");
