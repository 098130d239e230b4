import { axesOf } from "@/charts/plot/axes";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import { colourOf, type Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";
import type { ColourScale } from "./colour-scale";
import type { ModuleGrid, Place } from "./module-grid";
import { type Colouring, meanings, signed } from "./rank-values";

export interface HeatmapLayoutInput {
  grid: ModuleGrid;
  colouring: Colouring;
  look: Look;
  scale: ColourScale;
  /** Ends of the scale. */
  low: number;
  top: number;
  hasScale: boolean;
  selected: number | null;
}

/** Axes of every pane, their shared scale, the outline of the chosen module and the titles. */
export function heatmapLayout(input: HeatmapLayoutInput): Figure["layout"] {
  const { grid, look, colouring, scale, low, top, hasScale } = input;
  const { isScore, unit } = meanings[colouring];
  const ticks = isScore ? undefined : wholeTicks(low, top);
  const place = input.selected === null ? undefined : grid.places[input.selected];
  const layout = baseLayout(look, {
    margin: { l: 30, r: hasScale ? 8 : 6, t: 4 + (grid.panes[0]?.title ? 20 : 0), b: 26 },
    shapes: [
      ...grid.panes.map((pane, index) => linesBetween(pane.rows.length, pane.columns.length, index, look)),
      ...(place ? outline(place, look) : []),
    ],
    annotations: grid.panes.flatMap((pane, index) =>
      pane.title ? [paneTitle(pane.title, index, look)] : [],
    ),
  } as never);
  const domains = paneDomains(grid);
  const axes: Record<string, unknown> = {
    coloraxis: {
      cmin: low,
      cmax: top,
      colorscale: scale,
      showscale: hasScale,
      colorbar: {
        thickness: 10,
        outlinewidth: 0,
        tickfont: { size: 11, color: look.muted },
        title: { text: unit, font: { size: 11, color: look.muted }, side: "right" },
        ...(ticks ? { tickvals: ticks, ticktext: ticks.map(low < 0 ? signed : String) } : {}),
      },
    },
  };
  grid.panes.forEach(({ rows, columns }, index) => {
    const suffix = index === 0 ? "" : String(index + 1);
    axes[`xaxis${suffix}`] = axis(look, {
      ...everyName(columns, 40),
      range: [-0.5, columns.length - 0.5],
      anchor: `y${suffix}` as never,
      showgrid: false,
      ticks: "",
      fixedrange: columns.length <= 40,
    });
    axes[`yaxis${suffix}`] = axis(look, {
      ...everyName(rows, 32),
      domain: domains[index] ?? [0, 1],
      // Layer 0 at the top.
      range: [rows.length - 0.5, -0.5],
      anchor: `x${suffix}` as never,
      showgrid: false,
      ticks: "",
      fixedrange: rows.length <= 40,
    });
  });
  return { ...layout, ...axes } as Figure["layout"];
}

/** Each pane's share of the height, the first at the top. */
function paneDomains(grid: ModuleGrid): [number, number][] {
  const height = heatmapHeight(grid);
  const gap = betweenPanes(grid) / height;
  const rows = rowsOf(grid);
  let upper = 1;
  return grid.panes.map((pane) => {
    const share = (1 - gap * (grid.panes.length - 1)) * (pane.rows.length / rows);
    const domain: [number, number] = [Math.max(0, upper - share), upper];
    upper -= share + gap;
    return domain;
  });
}

const paneTitle = (text: string, pane: number, look: Look) => ({
  text: plainText(text),
  showarrow: false,
  xref: "paper",
  x: 0,
  xanchor: "left",
  yref: `y${pane === 0 ? "" : pane + 1} domain`,
  y: 1,
  yanchor: "bottom",
  font: { size: 12, color: look.ink },
});

/** The lines between the cells of a pane, as one path. */
function linesBetween(rows: number, columns: number, pane: number, look: Look) {
  const right = columns - 0.5;
  const bottom = rows - 0.5;
  const across = Array.from({ length: rows - 1 }, (_, row) => `M-0.5,${row + 0.5}L${right},${row + 0.5}`);
  const down = Array.from(
    { length: columns - 1 },
    (_, column) => `M${column + 0.5},-0.5L${column + 0.5},${bottom}`,
  );
  return {
    type: "path",
    path: [...across, ...down].join("") || "M0,0",
    xref: axesOf(pane).xaxis,
    yref: axesOf(pane).yaxis,
    line: { color: look.surface, width: 1 },
  };
}

/** Visible on every colour of the scales: a bright line on a wider one in the page's colour. */
function outline({ pane, row, column }: Place, look: Look) {
  const frame = {
    type: "rect",
    xref: axesOf(pane).xaxis,
    yref: axesOf(pane).yaxis,
    x0: column - 0.5,
    x1: column + 0.5,
    y0: row - 0.5,
    y1: row + 0.5,
  };
  return [
    { ...frame, line: { color: look.surface, width: 6 } },
    { ...frame, line: { color: colourOf(look, 1), width: 3 } },
  ];
}

function wholeTicks(low: number, top: number): number[] {
  const stride = Math.max(1, Math.ceil((top - low) / 8));
  const ticks = Array.from({ length: Math.floor(top / stride) + 1 }, (_, index) => index * stride);
  return low < 0
    ? [
        ...ticks
          .slice(1)
          .map((tick) => -tick)
          .reverse(),
        ...ticks,
      ]
    : ticks;
}

function everyName(names: readonly string[], most: number): { tickvals: number[]; ticktext: string[] } {
  const stride = Math.max(1, Math.ceil(names.length / most));
  const shown = names.map((_, index) => index).filter((index) => index % stride === 0);
  return { tickvals: shown, ticktext: shown.map((index) => plainText(names[index] ?? "")) };
}

/** Pixels between two panes, for the column names of the upper one, vertical on a phone, and the title of the next. */
function betweenPanes(grid: ModuleGrid): number {
  const upper = grid.panes.slice(0, -1).flatMap((pane) => pane.columns);
  const longest = Math.max(0, ...upper.map((name) => name.length));
  return Math.max(62, 30 + 6.5 * longest);
}

const rowsOf = (grid: ModuleGrid): number => grid.panes.reduce((sum, pane) => sum + pane.rows.length, 0);

/** Height of the cells: with the player and the page's header they fit a screen of 800 pixels. */
const mostPixels = 560;

/** Pixels: rows of a comfortable height for few layers; for many, all of them fit on a screen. */
export function heatmapHeight(grid: ModuleGrid): number {
  const extra = betweenPanes(grid) * (grid.panes.length - 1) + (grid.panes[0]?.title ? 20 : 0);
  return Math.round(Math.min(mostPixels, Math.max(220, rowsOf(grid) * 54)) + 48 + extra);
}
