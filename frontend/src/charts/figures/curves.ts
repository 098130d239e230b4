import { toNumber } from "@/api/numbers";
import type { Num } from "@/api/types";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";

export interface Curve {
  name: string;
  x: readonly number[];
  values: readonly Num[];
  colour: string;
  dash?: "solid" | "dot" | "dash";
  /** A mean over the full data, drawn over the faint points. */
  smoothed?: readonly Num[];
  hasMarkers?: boolean;
  onSecondAxis?: boolean;
  /** Half the height of a band around the values, such as a standard deviation; NaN where there is none. */
  spread?: readonly Num[];
}

export interface CurvesInput {
  curves: Curve[];
  look: Look;
  xTitle?: string;
  yTitle?: string;
  secondTitle?: string;
  xRange?: [number, number] | undefined;
  xFormat?: string;
  yFormat?: string;
  isLog?: boolean;
  /** Omitted: a legend if there is more than one line; false: never. */
  hasLegend?: boolean;
  /** The vertical axis starts at zero, for amounts. */
  isFromZero?: boolean;
  /** Thin labelled lines, such as the start of an attempt. */
  marks?: readonly { x: number; text: string }[];
  /** The largest x is on the left. */
  isReversed?: boolean;
  /** The pointer shows the nearest curve only, not all of them. */
  hoversNearest?: boolean;
}

export function curvesFigure(input: CurvesInput): Figure {
  const { curves, look, marks = [] } = input;
  const isEmpty = curves.every((curve) => curve.x.length === 0);
  const hasSecond = curves.some((curve) => curve.onSecondAxis);
  return {
    data: [
      // Bands first: below every line.
      ...curves.flatMap((curve) => band(curve)),
      ...curves.flatMap((curve) => traces(curve, look, input.xFormat ?? "step %{x}")),
    ],
    layout: baseLayout(look, {
      uirevision: `${input.xTitle ?? "step"} ${input.isLog ? "log" : "linear"}`,
      hovermode: input.hoversNearest ? "closest" : "x unified",
      showlegend: input.hasLegend ?? (curves.length > 1 || curves.some(isSmooth)),
      margin: { l: 48, r: hasSecond ? 46 : 12, t: 8, b: 36 },
      xaxis: axis(look, {
        title: {
          text: plainText(input.xTitle ?? "step"),
          font: { size: 11, color: look.muted },
          standoff: 4,
        },
        showgrid: false,
        ...(input.xRange ? { range: input.xRange } : {}),
        ...(input.xTitle === "progress" ? { tickformat: ".0%" } : {}),
        ...(input.isReversed ? { autorange: "reversed" as const } : {}),
      }),
      yaxis: axis(look, {
        ...(input.yTitle
          ? { title: { text: plainText(input.yTitle), font: { size: 11, color: look.muted }, standoff: 6 } }
          : {}),
        ...(input.yFormat ? { tickformat: input.yFormat } : {}),
        ...(input.isLog ? { type: "log" } : {}),
        ...(input.isFromZero ? { rangemode: "tozero" } : {}),
        ...flatRange(curves, input),
        nticks: 6,
        // Learning rates are read as 4e-4, not as 400µ.
        exponentformat: "e",
        visible: !isEmpty,
      }),
      ...(hasSecond
        ? {
            yaxis2: {
              ...axis(look, { showgrid: false, nticks: 5, tickmode: "auto", tickformat: ".3~g" }),
              title: {
                text: plainText(input.secondTitle ?? ""),
                font: { size: 11, color: look.muted },
                standoff: 6,
              },
              overlaying: "y",
              side: "right",
            } as never,
          }
        : {}),
      annotations: isEmpty ? [nothingYet(look)] : marks.map((mark) => markText(mark, look)),
      shapes: marks.map((mark) => markLine(mark.x, look)),
    }),
  };
}

/** Padding around values that are nearly equal; otherwise the axis would show their rounding errors. */
function flatRange(curves: readonly Curve[], { isLog, isFromZero }: CurvesInput) {
  if (isLog || isFromZero) return {};
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const curve of curves) {
    if (curve.onSecondAxis) continue;
    for (const raw of curve.values) {
      const value = toNumber(raw);
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const room = 0.05 * Math.abs(high);
  if (!(low <= high) || room === 0 || high - low > 1e-6 * Math.abs(high)) return {};
  return { range: [low - room, high + room] as [number, number] };
}

const nothingYet = (look: Look) =>
  ({
    text: "No data yet",
    showarrow: false,
    xref: "paper",
    yref: "paper",
    x: 0.5,
    y: 0.5,
    font: { size: 12, color: look.muted },
  }) as const;

const markLine = (x: number, look: Look) =>
  ({
    type: "line",
    x0: x,
    x1: x,
    yref: "paper",
    y0: 0,
    y1: 1,
    line: { color: look.grid, width: 1.5 },
    layer: "below",
  }) as const;

const markText = (mark: { x: number; text: string }, look: Look) =>
  ({
    text: plainText(mark.text),
    x: mark.x,
    yref: "paper",
    y: 1,
    yanchor: "top",
    xanchor: "left",
    showarrow: false,
    font: { size: 10, color: look.muted },
  }) as const;

const isSmooth = (curve: Curve): boolean => (curve.smoothed?.length ?? 0) > 0;

function traces(curve: Curve, look: Look, xFormat: string): Figure["data"] {
  const numbers = curve.values.map(toNumber);
  const name = plainText(curve.name);
  const drawn = numbers.map(finiteOrNull);
  const yaxis = curve.onSecondAxis ? "y2" : "y";
  const smooth = isSmooth(curve);
  const line = {
    type: "scatter",
    x: curve.x,
    yaxis,
    connectgaps: false,
    hovertemplate: `%{y:.4~g}<extra>${name}</extra>`,
    xhoverformat: xFormat,
  } as const;
  const result: Figure["data"] = [
    {
      ...line,
      mode: curve.hasMarkers ? "lines+markers" : "lines",
      name,
      meta: curve.name,
      y: drawn,
      marker: { size: 5, color: curve.colour },
      line: { color: curve.colour, width: smooth ? 1 : 1.8, dash: curve.dash ?? "solid" },
      opacity: smooth ? 0.35 : 1,
    } as Figure["data"][number],
  ];
  if (smooth) {
    result.push({
      ...line,
      mode: "lines",
      name: "smoothed",
      y: (curve.smoothed ?? []).map(finiteOrNull),
      line: { color: curve.colour, width: 2, dash: curve.dash ?? "solid" },
      hovertemplate: "%{y:.4~g}<extra>smoothed</extra>",
    } as Figure["data"][number]);
  }
  const broken = notFinite(curve.x, numbers);
  if (broken.x.length) {
    result.push({
      type: "scatter",
      mode: "markers",
      name: `${name}: NaN or infinite (${broken.x.length})`,
      x: broken.x,
      y: broken.y,
      yaxis,
      customdata: broken.text,
      marker: { symbol: "x", size: 8, color: look.alarm },
      hovertemplate: `is %{customdata}<extra>${name}</extra>`,
      showlegend: true,
    } as unknown as Figure["data"][number]);
  }
  return result;
}

/** The spread around the values, as two lines and the area between them. */
function band({ x, values, spread, colour, onSecondAxis }: Curve): Figure["data"] {
  if (!spread) return [];
  const places: number[] = [];
  const low: number[] = [];
  const high: number[] = [];
  values.forEach((raw, index) => {
    const [value, half] = [toNumber(raw), toNumber(spread[index] ?? "NaN")];
    if (!Number.isFinite(value) || !Number.isFinite(half)) return;
    places.push(x[index] ?? 0);
    low.push(value - half);
    high.push(value + half);
  });
  const edge = {
    type: "scatter",
    mode: "lines",
    x: places,
    yaxis: onSecondAxis ? "y2" : "y",
    line: { width: 0, color: colour },
    hoverinfo: "skip",
    showlegend: false,
  };
  return [
    { ...edge, y: low },
    { ...edge, y: high, fill: "tonexty", fillcolor: `${colour}2b` },
  ] as unknown as Figure["data"];
}

function finiteOrNull(value: Num): number | null {
  const number = toNumber(value);
  return Number.isFinite(number) ? number : null;
}

/** NaN and infinities can't be placed on the axis: they are marked at the height of the last finite value before them. */
function notFinite(x: readonly number[], values: readonly number[]) {
  const result = { x: [] as number[], y: [] as number[], text: [] as string[] };
  let height = values.find((value) => Number.isFinite(value)) ?? 0;
  values.forEach((value, index) => {
    if (Number.isFinite(value)) {
      height = value;
      return;
    }
    result.x.push(x[index] ?? 0);
    result.y.push(height);
    result.text.push(String(value));
  });
  return result;
}
