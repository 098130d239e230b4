import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";

/** A group in the plane of cost and quality. */
export interface TradeOff {
  name: string;
  cost: number;
  value: number;
  /** Standard deviation over the runs; null for a single one. */
  sd: number | null;
  colour: string;
}

export interface TradeOffInput {
  points: readonly TradeOff[];
  lowerIsBetter: boolean;
  costTitle: string;
  valueTitle: string;
  /** Text of a cost at the pointer. */
  costText: (cost: number) => string;
  look: Look;
}

/** Points that no other beats in both cost and value, the cheapest first. */
export function paretoFront(points: readonly TradeOff[], lowerIsBetter: boolean): TradeOff[] {
  const quality = ({ value }: TradeOff) => (lowerIsBetter ? -value : value);
  const sorted = [...points].sort((one, other) => one.cost - other.cost || quality(other) - quality(one));
  const front: TradeOff[] = [];
  let best = Number.NEGATIVE_INFINITY;
  for (const point of sorted) {
    if (quality(point) <= best) continue;
    best = quality(point);
    front.push(point);
  }
  return front;
}

/** Value against cost, with the Pareto front as steps: the best value for at most that cost. */
export function tradeOffFigure(input: TradeOffInput): Figure {
  const { points, lowerIsBetter, look, costText } = input;
  const front = paretoFront(points, lowerIsBetter);
  const hover = (point: TradeOff) =>
    `<b>${plainText(point.name)}</b><br>${plainText(input.valueTitle)} ${point.value.toPrecision(5)}${point.sd === null ? "" : ` ± ${point.sd.toPrecision(2)}`}<br>${plainText(input.costTitle)} ${plainText(costText(point.cost))}${front.includes(point) ? "<br>on the front" : ""}`;
  const spread = points.length ? Math.max(...points.map((point) => point.cost)) : 1;
  const isWide = points.length > 0 && spread > 20 * Math.min(...points.map((point) => point.cost || spread));
  return {
    data: [
      {
        type: "scatter",
        mode: "lines",
        name: "Pareto front",
        x: front.map((point) => point.cost),
        y: front.map((point) => point.value),
        line: { shape: "hv", color: look.muted, width: 1.5, dash: "dot" },
        hoverinfo: "skip",
        showlegend: front.length > 1,
      },
      ...points.map((point) => ({
        type: "scatter",
        // Names of the others would cover each other; they are shown at the pointer.
        mode: front.includes(point) ? "markers+text" : "markers",
        name: plainText(point.name),
        meta: point.name,
        x: [point.cost],
        y: [point.value],
        text: [plainText(point.name)],
        textposition: front.indexOf(point) === front.length - 1 ? "top left" : "top right",
        textfont: { size: 11, color: look.ink },
        cliponaxis: false,
        hovertext: [hover(point)],
        hovertemplate: "%{hovertext}<extra></extra>",
        ...(point.sd === null
          ? {}
          : { error_y: { type: "data", array: [point.sd], color: point.colour, thickness: 1.2, width: 4 } }),
        marker: {
          size: 10,
          color: front.includes(point) ? point.colour : look.surface,
          line: { width: 2, color: point.colour },
        },
        showlegend: false,
      })),
    ] as unknown as Figure["data"],
    layout: baseLayout(look, {
      uirevision: `${input.costTitle} ${input.valueTitle}`,
      hovermode: "closest",
      showlegend: front.length > 1,
      margin: { l: 56, r: 24, t: 12, b: 40 },
      xaxis: axis(look, {
        title: { text: plainText(input.costTitle), font: { size: 11, color: look.muted }, standoff: 4 },
        ...(isWide ? { type: "log" as const, dtick: "D2" as never } : {}),
        tickformat: "~s",
      }),
      yaxis: axis(look, {
        title: { text: plainText(input.valueTitle), font: { size: 11, color: look.muted }, standoff: 6 },
        nticks: 6,
      }),
    }),
  };
}
