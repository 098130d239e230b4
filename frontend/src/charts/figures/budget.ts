import type { BudgetPoint } from "@/api/types";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import { colourOf, type Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";

interface Counted {
  step: number;
  live: number;
  pruning: boolean;
  final: boolean;
}

/** A steering request that took effect. */
export interface SteeringMark {
  step: number;
  text: string;
}

export interface BudgetInput {
  /** The current plan, with the changes made by steering. */
  planned: readonly BudgetPoint[];
  frames: readonly Counted[];
  steering?: readonly SteeringMark[];
  look: Look;
  totalSteps: number | null;
}

/** Planned and actual number of live components. Components may be regrown between prunings, so only exact counts are drawn. */
export function budgetFigure({ planned, frames, steering = [], look, totalSteps }: BudgetInput): Figure {
  const exact = frames.filter((frame) => frame.pruning || frame.final || frame.step === 0);
  // The count holds until the next pruning, so the line continues to the newest snapshot.
  const newest = frames.at(-1);
  const lastExact = exact.at(-1);
  if (newest && lastExact && newest.step > lastExact.step) exact.push({ ...newest, live: lastExact.live });
  const highest = Math.max(1, ...planned.map((point) => point.budget), ...exact.map((frame) => frame.live));
  const stairs = { type: "scatter", mode: "lines" };
  const data: unknown[] = [
    {
      ...stairs,
      name: "planned",
      x: planned.map((point) => point.step),
      y: planned.map((point) => point.budget),
      line: { shape: "hv", color: look.muted, width: 1.6, dash: "dot" },
      hovertemplate: "%{y} planned<extra></extra>",
    },
  ];
  if (exact.length) {
    data.push({
      ...stairs,
      name: "live",
      x: exact.map((frame) => frame.step),
      y: exact.map((frame) => frame.live),
      line: { shape: "hv", color: colourOf(look, 0), width: 2.2 },
      hovertemplate: "%{y} live<extra></extra>",
    });
  }
  if (steering.length) data.push(steeringTrace(steering, planned, look));
  return {
    data: data as Figure["data"],
    layout: baseLayout(look, {
      hovermode: "x unified",
      showlegend: exact.length > 0,
      xaxis: axis(look, {
        title: { text: "step", font: { size: 11, color: look.muted }, standoff: 4 },
        showgrid: false,
        ...(totalSteps ? { range: [0, totalSteps] } : {}),
      }),
      yaxis: axis(look, { range: [0, highest * 1.12], nticks: 5 }),
    }),
  };
}

/** A triangle on the plan for each steering request, described on hover. */
function steeringTrace(steering: readonly SteeringMark[], planned: readonly BudgetPoint[], look: Look) {
  const budgetAt = (step: number) => planned.findLast((point) => point.step <= step)?.budget ?? 0;
  return {
    type: "scatter",
    mode: "markers",
    name: "steered",
    x: steering.map((mark) => mark.step),
    y: steering.map((mark) => budgetAt(mark.step)),
    text: steering.map((mark) => plainText(mark.text)),
    marker: {
      symbol: "triangle-down",
      size: 11,
      color: colourOf(look, 1),
      line: { width: 1, color: look.surface },
    },
    hovertemplate: "%{text}<extra></extra>",
  };
}
