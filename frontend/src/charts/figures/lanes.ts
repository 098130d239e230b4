import { unpackFloat16, unpackMask } from "@/api/packed";
import type { ComponentHistory, LedgerLine } from "@/api/types";
import { darkScale, lightScale } from "@/charts/heatmap/colour-scale";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";

/** The numbers of the chart: a row for each component at each step; no score where it is not live. */
export function laneRows({ width, steps, mask, scores }: ComponentHistory): object[] {
  const cells = steps.length * width;
  const [alive, values] = [unpackMask(mask, cells), unpackFloat16(scores, cells)];
  return Array.from({ length: cells }, (_, cell) => ({
    step: steps[Math.floor(cell / width)],
    component: cell % width,
    is_live: Boolean(alive[cell]),
    score: alive[cell] ? values[cell] : null,
  }));
}

/**
 * The components of one module over the steps, one lane each: shaded by score while live, grey while not.
 * Crosses mark prunings, triangles regrowth.
 */
export function lanesFigure(history: ComponentHistory, changes: readonly LedgerLine[], look: Look): Figure {
  const { width, steps } = history;
  const cells = steps.length * width;
  const mask = unpackMask(history.mask, cells);
  const scores = unpackFloat16(history.scores, cells);
  const lanes = Array.from({ length: width }, (_, component) => component);
  const rows = <T>(pick: (index: number) => T) =>
    lanes.map((component) => steps.map((_, at) => pick(at * width + component)));
  const x = edges(steps);
  const top = highestLive(scores, mask) || 1;
  const common = { type: "heatmap", x, y: lanes.map((lane) => lane - 0.5).concat(width - 0.5), ygap: 1 };
  return {
    data: [
      {
        ...common,
        z: rows((index) => (mask[index] ? null : 1)),
        zmin: 0,
        zmax: 1,
        colorscale: [
          [0, look.empty],
          [1, look.empty],
        ],
        showscale: false,
        hovertemplate: "component %{y:.0f} is not live<extra></extra>",
      },
      {
        ...common,
        z: rows((index) => (mask[index] ? (scores[index] ?? null) : null)),
        zmin: 0,
        zmax: top,
        colorscale: look.isDark ? darkScale : lightScale,
        colorbar: {
          thickness: 10,
          outlinewidth: 0,
          tickfont: { size: 11, color: look.muted },
          title: { text: "score", font: { size: 11, color: look.muted }, side: "right" },
        },
        text: rows((index) => `step ${steps[Math.floor(index / width)] ?? 0}`),
        hovertemplate: "%{text}, component %{y:.0f}: score %{z:.3~g}<extra></extra>",
        hoverongaps: false,
      },
      change(changes, "pruned", { symbol: "x-thin", size: 7, line: { width: 2, color: look.alarm } }),
      change(changes, "regrown", {
        symbol: "triangle-up",
        size: 8,
        color: look.ink,
        line: { width: 1, color: look.surface },
      }),
    ] as unknown as Figure["data"],
    layout: baseLayout(look, {
      hovermode: "closest",
      showlegend: changes.length > 0,
      margin: { l: 44, r: 8, t: 8, b: 36 },
      xaxis: axis(look, {
        title: { text: "step", font: { size: 11, color: look.muted }, standoff: 4 },
        showgrid: false,
        range: [x[0] ?? 0, x.at(-1) ?? 1],
      }),
      yaxis: axis(look, {
        title: { text: "component", font: { size: 11, color: look.muted }, standoff: 6 },
        range: [width - 0.5, -0.5],
        showgrid: false,
        dtick: Math.max(1, Math.ceil(width / 16)),
        fixedrange: true,
      }),
    }),
  };
}

/** A snapshot is drawn from its step to the next one's; the last is as wide as the one before it. */
function edges(steps: readonly number[]): number[] {
  const last = steps.at(-1) ?? 0;
  return [...steps, last + Math.max(1, last - (steps.at(-2) ?? last - 1))];
}

const highestLive = (scores: Float32Array, mask: Uint8Array): number =>
  scores.reduce(
    (most, score, index) => (mask[index] && Number.isFinite(score) ? Math.max(most, score) : most),
    0,
  );

function change(changes: readonly LedgerLine[], kind: LedgerLine["change"], marker: object) {
  const own = changes.filter((line) => line.change === kind);
  return {
    type: "scatter",
    mode: "markers",
    name: kind,
    x: own.map((line) => line.step),
    y: own.map((line) => line.component),
    marker,
    hovertemplate: `component %{y} ${kind} at step %{x}<extra></extra>`,
  };
}

/** Pixels: each lane is as high as its label. */
export const lanesHeight = (width: number): number => Math.min(560, Math.max(170, width * 18)) + 56;
