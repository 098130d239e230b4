import type { ModuleState } from "@/api/packed";
import type { Module } from "@/api/types";
import { colourAt, darkScale, inkOn, lightScale } from "./colour-scale";
import { axis, baseLayout, type Figure } from "./figure";
import type { Look } from "./look";
import { moduleGrid } from "./module-grid";

export type HeatmapValue = "rank" | "importance";

export interface HeatmapInput {
  modules: readonly Module[];
  states: readonly ModuleState[];
  value: HeatmapValue;
  /** Upper end of the scale: the initial rank, or the largest importance seen. Fixed, so that colours do not jump. */
  top: number;
  look: Look;
  /** Off for small multiples that share one scale. */
  hasScale?: boolean;
}

/** Above this many cells numbers take longer to draw than a person waits (measured: 7,168 cells 1.8 s). */
export const mostLabelledCells = 300;

type Grid<T> = (T | null)[][];

export function heatmapFigure({ modules, states, value, top, look, hasScale = true }: HeatmapInput): Figure {
  const { rows, columns, places } = moduleGrid(modules);
  const blank = <T>(): Grid<T> => rows.map(() => columns.map(() => null));
  const z = blank<number>();
  const zero = blank<number>();
  const hover = blank<string>();
  const labels: Record<"black" | "white" | "empty", Label[]> = { black: [], white: [], empty: [] };
  const scale = look.isDark ? darkScale : lightScale;
  const isLabelled = modules.length <= mostLabelledCells;

  places.forEach(({ row, column }, index) => {
    const module = modules[index];
    const state = states[index];
    const zRow = z[row];
    const zeroRow = zero[row];
    const hoverRow = hover[row];
    if (!module || !state || !zRow || !zeroRow || !hoverRow) return;
    hoverRow[column] = describe(module, state);
    if (state.rank === 0) {
      zeroRow[column] = 1;
      labels.empty.push({ x: column, y: row, text: "×" });
      return;
    }
    const shown = value === "rank" ? state.rank : state.importance;
    if (shown === null || !Number.isFinite(shown)) {
      zeroRow[column] = 1;
      labels.empty.push({ x: column, y: row, text: "NaN" });
      return;
    }
    zRow[column] = shown;
    if (!isLabelled) return;
    const ink = inkOn(colourAt(scale, shown / (top || 1)));
    labels[ink].push({ x: column, y: row, text: value === "rank" ? String(shown) : importanceText(shown) });
  });

  const common = { type: "heatmap", xgap: 1, ygap: 1, hoverongaps: false } as const;
  return {
    data: [
      {
        ...common,
        z,
        zmin: 0,
        zmax: top || 1,
        colorscale: scale as never,
        showscale: hasScale,
        colorbar: {
          thickness: 10,
          outlinewidth: 0,
          tickfont: { size: 11, color: look.muted },
          title: {
            text: value === "rank" ? "rank" : "importance",
            font: { size: 11, color: look.muted },
            side: "right",
          },
          ...(value === "rank" ? { tickvals: rankTicks(top) } : {}),
        },
        text: hover as never,
        hovertemplate: "%{text}<extra></extra>",
      },
      {
        ...common,
        z: zero,
        zmin: 0,
        zmax: 1,
        colorscale: [
          [0, look.empty],
          [1, look.empty],
        ],
        showscale: false,
        text: hover as never,
        hovertemplate: "%{text}<extra></extra>",
      },
      labelTrace(labels.black, "#10181f"),
      labelTrace(labels.white, "#ffffff"),
      labelTrace(labels.empty, look.emptyInk),
    ] as Figure["data"],
    layout: baseLayout(look, {
      margin: { l: 30, r: hasScale ? 8 : 6, t: 4, b: 26 },
      xaxis: axis(look, {
        tickvals: columns.map((_, index) => index),
        ticktext: columns,
        range: [-0.5, columns.length - 0.5],
        showgrid: false,
        ticks: "",
        fixedrange: columns.length <= 24,
      }),
      yaxis: axis(look, {
        title: { text: "layer", font: { size: 11, color: look.muted }, standoff: 6 },
        ...yTicks(rows),
        // Layer 0 at the top, as one reads.
        range: [rows.length - 0.5, -0.5],
        showgrid: false,
        ticks: "",
        fixedrange: rows.length <= 24,
      }),
    }),
  };
}

interface Label {
  x: number;
  y: number;
  text: string;
}

function labelTrace(labels: Label[], color: string): Figure["data"][number] {
  return {
    type: "scatter",
    mode: "text",
    x: labels.map((label) => label.x),
    y: labels.map((label) => label.y),
    text: labels.map((label) => label.text),
    textfont: { color, size: 12 },
    hoverinfo: "skip",
    showlegend: false,
    cliponaxis: true,
  } as Figure["data"][number];
}

function describe(module: Module, state: ModuleState): string {
  const importance =
    state.importance === null ? "no live component" : `importance ${importanceText(state.importance)}`;
  return `<b>${module.name}</b><br>rank ${state.rank} · ${importance}<br>${module.out_features} × ${module.in_features}`;
}

export const importanceText = (value: number): string =>
  !Number.isFinite(value)
    ? String(value)
    : value === 0
      ? "0"
      : value < 0.001
        ? value.toExponential(0)
        : value.toPrecision(2);

function rankTicks(top: number): number[] {
  const stride = Math.max(1, Math.ceil(top / 8));
  return Array.from({ length: Math.floor(top / stride) + 1 }, (_, index) => index * stride);
}

function yTicks(rows: string[]): { tickvals: number[]; ticktext: string[] } {
  const stride = Math.max(1, Math.ceil(rows.length / 32));
  const shown = rows.map((_, index) => index).filter((index) => index % stride === 0);
  return { tickvals: shown, ticktext: shown.map((index) => rows[index] ?? "") };
}

/** Pixels: rows of a comfortable height for few layers, and all of them on a screen for many. */
export const heatmapHeight = (rows: number): number =>
  Math.round(Math.min(820, Math.max(260, rows * 62)) + 48);
