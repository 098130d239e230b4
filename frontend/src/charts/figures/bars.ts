import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import { colourOf, type Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";
import { count } from "@/components/text/format";

export interface Bar {
  name: string;
  value: number;
}

const shownName = (name: string) => plainText(name.length > 24 ? `${name.slice(0, 23)}…` : name);

/** Amounts by name, the first at the top. */
export function namedBarsFigure(bars: readonly Bar[], unit: string, look: Look): Figure {
  const places = bars.map((_, index) => index);
  return {
    data: [
      {
        type: "bar",
        orientation: "h",
        x: bars.map((bar) => bar.value),
        y: places,
        marker: { color: colourOf(look, 0) },
        text: bars.map((bar) => `${plainText(bar.name)}: ${count(bar.value)} ${unit}`),
        textposition: "none",
        hovertemplate: "%{text}<extra></extra>",
      } as Figure["data"][number],
    ],
    layout: baseLayout(look, {
      bargap: 0.25,
      margin: { l: 20, r: 12, t: 4, b: 32 },
      xaxis: axis(look, {
        title: { text: plainText(unit), font: { size: 11, color: look.muted }, standoff: 4 },
        rangemode: "tozero",
        nticks: 5,
      }),
      yaxis: axis(look, {
        tickvals: places,
        ticktext: bars.map((bar) => shownName(bar.name)),
        range: [bars.length - 0.4, -0.6],
        showgrid: false,
      }),
    }),
  };
}

/** Counts between edges: `counts[i]` from `edges[i]` to below `edges[i + 1]`. */
export function histogramFigure(
  edges: readonly number[],
  counts: readonly number[],
  xTitle: string,
  unit: string,
  look: Look,
): Figure {
  const middle = counts.map((_, index) => ((edges[index] ?? 0) + (edges[index + 1] ?? 0)) / 2);
  return {
    data: [
      {
        type: "bar",
        x: middle,
        y: counts,
        width: counts.map((_, index) => (edges[index + 1] ?? 0) - (edges[index] ?? 0)),
        marker: { color: colourOf(look, 0), line: { width: 1, color: look.surface } },
        text: counts.map(
          (value, index) =>
            `${count(edges[index])} to ${count((edges[index + 1] ?? 1) - 1)}: ${count(value)} ${unit}`,
        ),
        textposition: "none",
        hovertemplate: "%{text}<extra></extra>",
      } as Figure["data"][number],
    ],
    layout: baseLayout(look, {
      bargap: 0,
      xaxis: axis(look, {
        title: { text: plainText(xTitle), font: { size: 11, color: look.muted }, standoff: 4 },
        range: [0, edges.at(-1) ?? 1],
        showgrid: false,
        nticks: 6,
      }),
      yaxis: axis(look, {
        title: { text: plainText(unit), font: { size: 11, color: look.muted }, standoff: 6 },
        rangemode: "tozero",
        nticks: 4,
      }),
    }),
  };
}
