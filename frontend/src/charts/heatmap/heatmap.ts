import type { Module } from "@/api/types";
import { axesOf } from "@/charts/plot/axes";
import type { CellLabel } from "@/charts/plot/cell-labels";
import type { Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import {
  type ColourScale,
  colourAt,
  darkScale,
  darkSigned,
  inkOn,
  lightScale,
  lightSigned,
} from "./colour-scale";
import { heatmapHover } from "./heatmap-hover";
import { heatmapLayout } from "./heatmap-layout";
import { type ModuleGrid, moduleGrid, type Place } from "./module-grid";
import { type Colouring, colourValue, meanings, type RankView, valueText } from "./rank-values";

export interface HeatmapInput {
  modules: readonly Module[];
  grid?: ModuleGrid;
  view: RankView;
  colouring: Colouring;
  /** Upper end of the scale; a signed scale goes from -top to top. Fixed, so that colours do not jump. */
  top: number;
  look: Look;
  /** Index of the outlined module. */
  selected?: number | null;
  /** Modules that the run doesn't adapt: their cells stay empty. */
  isAbsent?: (module: number) => boolean;
  /** Text at the pointer; omitted: rank, importance and changes. */
  hoverOf?: (module: number) => string;
  /** Off for small multiples that share one scale. */
  hasScale?: boolean;
}

/** With more cells, numbers take too long to draw (measured: 1.8 s for 7,168 cells). */
export const mostLabelledCells = 300;

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
  const labels: CellLabel[] = [];
  const crosses: Place[] = [];

  grid.places.forEach((at, index) => {
    const { pane, row, column } = at;
    const module = modules[index];
    const body = bodies[pane];
    const zRow = body?.z[row];
    const emptyRow = body?.empty[row];
    if (!module || !body || !zRow || !emptyRow || input.isAbsent?.(index)) return;
    (body.hover[row] as (string | null)[])[column] =
      input.hoverOf?.(index) ?? heatmapHover(module, view, index);
    (body.module[row] as (number | null)[])[column] = index;
    const label = { pane, x: column, y: row };
    const value = colourValue(view, colouring, index);
    if ((view.levels.ranks[index] ?? 0) === 0 && colouring !== "between") {
      emptyRow[column] = 1;
      crosses.push(at);
    } else if (value === null || !Number.isFinite(value)) {
      emptyRow[column] = 1;
      labels.push({ ...label, text: String(value), color: look.emptyInk });
    } else {
      zRow[column] = value;
      const text = cellText(value, colouring, modules.length);
      if (text) labels.push({ ...label, text, color: ink(scale, value, low, top) });
    }
  });

  // Without gaps Plotly draws one pixel per cell and lets the browser scale it up; the lines between cells are a shape.
  const common = { type: "heatmap", hoverongaps: false } as const;
  const data = bodies.flatMap((body, pane) => {
    const notify = {
      ...common,
      ...axesOf(pane),
      text: body.hover,
      customdata: body.module,
      hovertemplate: "%{text}<extra></extra>",
    };
    return [
      { ...notify, z: body.z, coloraxis: "coloraxis" },
      {
        ...notify,
        z: body.empty,
        // A separate trace, as costly as the coloured one: only if a module is at rank 0.
        visible: body.empty.some((row) => row.includes(1)),
        zmin: 0,
        zmax: 1,
        colorscale: [
          [0, look.empty],
          [1, look.empty],
        ],
        showscale: false,
      },
      crossTrace(crosses, pane, look.emptyInk),
    ];
  });
  return {
    data: data as unknown as Figure["data"],
    labels,
    layout: heatmapLayout({
      ...{ grid, colouring, look, scale, low, top, hasScale },
      selected: input.selected ?? null,
    }),
  };
}

const scaleOf = (isSigned: boolean, look: Look): ColourScale =>
  isSigned ? (look.isDark ? darkSigned : lightSigned) : look.isDark ? darkScale : lightScale;

/** The label of a cell: its number, or, on a large heatmap, a plus where the rank has grown. */
function cellText(value: number, colouring: Colouring, cells: number): string {
  if (cells <= mostLabelledCells) return valueText(value, colouring);
  return meanings[colouring].isSigned && value > 0 ? "+" : "";
}

const ink = (scale: ColourScale, value: number, low: number, top: number) =>
  inkOn(colourAt(scale, (value - low) / (top - low))) === "white" ? "#ffffff" : "#10181f";

function crossTrace(crosses: readonly Place[], pane: number, color: string) {
  const mine = crosses.filter((place) => place.pane === pane);
  return {
    type: "scatter",
    mode: "markers",
    ...axesOf(pane),
    x: mine.map((place) => place.column),
    y: mine.map((place) => place.row),
    marker: { symbol: "x-thin", size: 7, line: { width: 1.6, color } },
    hoverinfo: "skip",
    showlegend: false,
    cliponaxis: true,
  };
}
