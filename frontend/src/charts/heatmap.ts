import type { Module } from "@/api/types";
import {
  type ColourScale,
  colourAt,
  darkScale,
  darkSigned,
  inkOn,
  lightScale,
  lightSigned,
} from "./colour-scale";
import { axis, baseLayout, type Figure } from "./figure";
import { heatmapHover } from "./heatmap-hover";
import { colourOf, type Look } from "./look";
import { type ModuleGrid, moduleGrid, type Place } from "./module-grid";
import { type Colouring, colourValue, meanings, type RankView, signed, valueText } from "./rank-values";

export interface HeatmapInput {
  modules: readonly Module[];
  grid?: ModuleGrid;
  view: RankView;
  colouring: Colouring;
  /** Upper end of the scale; a signed one goes from -top to top. Fixed, so that colours do not jump. */
  top: number;
  look: Look;
  /** Gets an outline. */
  selected?: number | null;
  /** Off for small multiples that share one scale. */
  hasScale?: boolean;
  /** A line above the drawing, for pictures that leave the page. */
  title?: string;
}

/** Above this many cells numbers take longer to draw than a person waits (measured: 7,168 cells 1.8 s). */
export const mostLabelledCells = 300;

/** Pixels between two panes: the names of the columns and the title of the next. */
const betweenPanes = 62;

export function heatmapFigure(input: HeatmapInput): Figure {
  const { modules, view, colouring, look, hasScale = true } = input;
  const grid = input.grid ?? moduleGrid(modules);
  const { isSigned } = meanings[colouring];
  const top = input.top || 1;
  const low = isSigned ? -top : 0;
  const scale = scaleOf(isSigned, look);
  const bodies = grid.panes.map(({ rows, columns }) => {
    const blank = <T>() => rows.map(() => new Array<T | null>(columns.length).fill(null));
    return { z: blank<number>(), empty: blank<number>(), hover: blank<string>(), module: blank<number>() };
  });
  const labels: Record<"black" | "white" | "muted", Mark[]> = { black: [], white: [], muted: [] };
  const crosses: Mark[] = [];

  grid.places.forEach(({ pane, row, column }, index) => {
    const module = modules[index];
    const body = bodies[pane];
    const zRow = body?.z[row];
    const emptyRow = body?.empty[row];
    if (!module || !body || !zRow || !emptyRow) return;
    (body.hover[row] as (string | null)[])[column] = heatmapHover(module, view, index);
    (body.module[row] as (number | null)[])[column] = index;
    const place = { pane, x: column, y: row };
    const value = colourValue(view, colouring, index);
    if ((view.levels.ranks[index] ?? 0) === 0) {
      emptyRow[column] = 1;
      crosses.push({ ...place, text: "" });
    } else if (value === null || !Number.isFinite(value)) {
      emptyRow[column] = 1;
      labels.muted.push({ ...place, text: String(value) });
    } else {
      zRow[column] = value;
      const text = cellText(value, colouring, modules.length);
      if (text) labels[ink(scale, value, low, top)].push({ ...place, text });
    }
  });

  const common = { type: "heatmap", xgap: 1, ygap: 1, hoverongaps: false } as const;
  const data = bodies.flatMap((body, pane) => {
    const told = {
      ...common,
      ...axesOf(pane),
      text: body.hover,
      customdata: body.module,
      hovertemplate: "%{text}<extra></extra>",
    };
    return [
      { ...told, z: body.z, coloraxis: "coloraxis" },
      {
        ...told,
        z: body.empty,
        // A picture of its own, as costly as the coloured one: only when a module is empty.
        visible: body.empty.some((row) => row.includes(1)),
        zmin: 0,
        zmax: 1,
        colorscale: [
          [0, look.empty],
          [1, look.empty],
        ],
        showscale: false,
      },
      crossTrace(onPane(crosses, pane), pane, look.emptyInk),
      labelTrace(onPane(labels.black, pane), pane, "#10181f"),
      labelTrace(onPane(labels.white, pane), pane, "#ffffff"),
      labelTrace(onPane(labels.muted, pane), pane, look.emptyInk),
    ];
  });
  return {
    data: data as unknown as Figure["data"],
    layout: layoutOf(input, grid, { scale, low, top, hasScale }),
  };
}

interface Mark {
  pane: number;
  x: number;
  y: number;
  text: string;
}

const scaleOf = (isSigned: boolean, look: Look): ColourScale =>
  isSigned ? (look.isDark ? darkSigned : lightSigned) : look.isDark ? darkScale : lightScale;

/** What is written into a cell: its number, or on a large map a plus where a module gained. */
function cellText(value: number, colouring: Colouring, cells: number): string {
  if (cells <= mostLabelledCells) return valueText(value, colouring);
  return meanings[colouring].isSigned && value > 0 ? "+" : "";
}

const ink = (scale: ColourScale, value: number, low: number, top: number) =>
  inkOn(colourAt(scale, (value - low) / (top - low)));

const onPane = (marks: readonly Mark[], pane: number) => marks.filter((mark) => mark.pane === pane);

const axesOf = (pane: number) =>
  pane === 0 ? { xaxis: "x", yaxis: "y" } : { xaxis: `x${pane + 1}`, yaxis: `y${pane + 1}` };

const marksTrace = (marks: readonly Mark[], pane: number) => ({
  type: "scatter",
  ...axesOf(pane),
  x: marks.map((mark) => mark.x),
  y: marks.map((mark) => mark.y),
  hoverinfo: "skip",
  showlegend: false,
  cliponaxis: true,
});

const labelTrace = (marks: readonly Mark[], pane: number, color: string) => ({
  ...marksTrace(marks, pane),
  mode: "text",
  text: marks.map((mark) => mark.text),
  textfont: { color, size: 12 },
});

const crossTrace = (marks: readonly Mark[], pane: number, color: string) => ({
  ...marksTrace(marks, pane),
  mode: "markers",
  marker: { symbol: "x-thin", size: 7, line: { width: 1.6, color } },
});

interface ScaleRange {
  scale: ColourScale;
  low: number;
  top: number;
  hasScale: boolean;
}

function layoutOf(input: HeatmapInput, grid: ModuleGrid, { scale, low, top, hasScale }: ScaleRange) {
  const { look, colouring, title } = input;
  const { isScore, unit } = meanings[colouring];
  const ticks = isScore ? undefined : wholeTicks(low, top);
  const place =
    input.selected === null || input.selected === undefined ? undefined : grid.places[input.selected];
  const layout = baseLayout(look, {
    margin: { l: 30, r: hasScale ? 8 : 6, t: (title ? 34 : 4) + (grid.panes[0]?.title ? 20 : 0), b: 26 },
    ...(title
      ? {
          title: {
            text: title,
            font: { size: 13, color: look.ink },
            x: 0,
            xref: "paper",
            y: 1,
            yanchor: "top",
            pad: { t: 8 },
          },
        }
      : {}),
    shapes: place ? outline(place, look) : [],
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
      // Layer 0 at the top, as one reads.
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
  const gap = betweenPanes / height;
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
  text,
  showarrow: false,
  xref: "paper",
  x: 0,
  xanchor: "left",
  yref: `y${pane === 0 ? "" : pane + 1} domain`,
  y: 1,
  yanchor: "bottom",
  font: { size: 12, color: look.ink },
});

/** Seen on every colour of the scales: a bright line on a broader one of the page. */
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
  return { tickvals: shown, ticktext: shown.map((index) => names[index] ?? "") };
}

const rowsOf = (grid: ModuleGrid): number => grid.panes.reduce((sum, pane) => sum + pane.rows.length, 0);

/** Pixels: rows of a comfortable height for few layers, and all of them on a screen for many. */
export function heatmapHeight(grid: ModuleGrid): number {
  const extra = betweenPanes * (grid.panes.length - 1) + (grid.panes[0]?.title ? 20 : 0);
  return Math.round(Math.min(820, Math.max(220, rowsOf(grid) * 54)) + 48 + extra);
}
