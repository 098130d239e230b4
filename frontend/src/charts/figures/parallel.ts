import type { SweepAnalysis } from "@/api/types";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import { colourOf, type Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";

type Axis = SweepAnalysis["axes"][number];

/** Lines of similar quality share a trace, because Plotly draws few long traces faster than many short ones. */
const shades = 6;
/** Where a point without the parameter crosses its axis, below the others. */
const absentPlace = -0.12;

interface ParallelInput {
  analysis: Pick<SweepAnalysis, "axes" | "lines">;
  metric: { title: string; lower_is_better: boolean };
  /** The text of a value of the metric. */
  text: (value: number) => string;
  /** The point that is marked. */
  marked: number | null;
  look: Look;
}

/** From 0 at the bottom of its axis to 1 at the top. */
export function placeOn(one: Axis, value: number | string | null): number {
  if (value === null) return absentPlace;
  if (one.choices) {
    const at = one.choices.indexOf(String(value));
    return one.choices.length < 2 ? 0.5 : at / (one.choices.length - 1);
  }
  const { low, high } = one;
  if (low === null || high === null || low === high) return 0.5;
  const scaled = (number: number) => (one.scale === "log" ? Math.log(number) : number);
  return (scaled(Number(value)) - scaled(low)) / (scaled(high) - scaled(low));
}

/** Parallel coordinates: an axis per parameter and one for the metric; better points have stronger lines. */
export function parallelFigure({ analysis, metric, text, marked, look }: ParallelInput): Figure {
  const { axes } = analysis;
  const values = analysis.lines.map((line) => line.value);
  const result: Axis = {
    name: "result",
    title: metric.title,
    scale: "linear",
    low: Math.min(...values),
    high: Math.max(...values),
    choices: null,
  };
  const sign = metric.lower_is_better ? -1 : 1;
  const worstFirst = [...analysis.lines].sort(
    // Of equal points, the first is the best, as in the leaderboard.
    (one, other) => sign * (one.value - other.value) || other.point - one.point,
  );
  const every = [...axes, result];
  const hover = (line: (typeof worstFirst)[number]) =>
    [
      `<b>${plainText(metric.title)} ${text(line.value)}</b>`,
      ...axes.flatMap((one, at) => {
        const value = line.values[at];
        return value === null || value === undefined
          ? []
          : [`${plainText(one.title)}: ${plainText(String(value))}`];
      }),
    ].join("<br>");
  const trace = (lines: typeof worstFirst, color: string, width: number) => {
    const vertices = lines.flatMap((line) => [
      ...every.map((one, at) => ({
        x: at,
        y: placeOn(one, at < axes.length ? (line.values[at] ?? null) : line.value),
        line,
      })),
      null,
    ]);
    return {
      type: "scatter",
      mode: "lines",
      x: vertices.map((vertex) => vertex?.x ?? null),
      y: vertices.map((vertex) => vertex?.y ?? null),
      customdata: vertices.map((vertex) => vertex?.line.point ?? null),
      text: vertices.map((vertex) => (vertex ? hover(vertex.line) : "")),
      hovertemplate: "%{text}<extra></extra>",
      line: { color, width },
    };
  };
  const size = Math.max(1, Math.ceil(worstFirst.length / shades));
  const groups = Array.from({ length: Math.ceil(worstFirst.length / size) }, (_, at) =>
    worstFirst.slice(at * size, (at + 1) * size),
  );
  const chosen = worstFirst.filter((line) => line.point === marked);
  return {
    data: [
      ...groups.map((lines, at) =>
        trace(lines, shade(look, groups.length < 2 ? 1 : at / (groups.length - 1)), 1.3),
      ),
      trace(worstFirst.slice(-1), colourOf(look, 1), 2.6),
      ...(chosen.length ? [trace(chosen, look.ink, 2.8)] : []),
    ] as unknown as Figure["data"],
    layout: baseLayout(look, {
      uirevision: every.map((one) => one.name).join(" "),
      margin: { l: 12, r: 12, t: 16, b: 44 },
      hovermode: "closest",
      dragmode: false,
      xaxis: axis(look, {
        tickvals: every.map((_, at) => at),
        ticktext: every.map((one) => plainText(one.title)),
        range: [-0.3, every.length - 0.7],
        gridcolor: look.muted,
        fixedrange: true,
      }),
      yaxis: axis(look, {
        range: [absentPlace - 0.06, 1.08],
        showgrid: false,
        showticklabels: false,
        fixedrange: true,
      }),
      annotations: every.flatMap((one, at) =>
        labelsOf(one, at === axes.length ? text : plainNumber).map(({ place, label }) => ({
          x: at,
          y: place,
          xanchor: at === every.length - 1 ? "right" : "left",
          xshift: at === every.length - 1 ? -5 : 5,
          yanchor: "middle",
          showarrow: false,
          text: plainText(label),
          bgcolor: look.surface,
          opacity: 0.9,
          borderpad: 1,
          font: { size: 11, color: look.ink },
        })),
      ) as Figure["layout"]["annotations"],
    }),
  };
}

const mostChoices = 12;

function labelsOf(one: Axis, text: (value: number) => string): { place: number; label: string }[] {
  if (one.choices) {
    const every = Math.ceil(one.choices.length / mostChoices);
    return one.choices
      .filter((_, at) => at % every === 0)
      .map((label) => ({
        place: placeOn(one, label),
        label: label.length > 22 ? `${label.slice(0, 21)}…` : label,
      }));
  }
  if (one.low === null || one.high === null) return [];
  if (one.low === one.high) return [{ place: 0.5, label: text(one.low) }];
  const middle = one.scale === "log" ? Math.sqrt(one.low * one.high) : (one.low + one.high) / 2;
  return [one.low, middle, one.high].map((value) => ({ place: placeOn(one, value), label: text(value) }));
}

const plainNumber = (value: number): string => String(Number(value.toPrecision(3)));

/** From near the background to the first colour of the palette. */
function shade(look: Look, share: number): string {
  const from = look.isDark ? [58, 70, 82] : [205, 216, 227];
  const to = look.isDark ? [108, 184, 246] : [23, 99, 166];
  const mixed = from.map((start, at) => Math.round(start + ((to[at] ?? start) - start) * share));
  return `rgb(${mixed.join(", ")})`;
}
