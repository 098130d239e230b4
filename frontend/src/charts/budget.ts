import type { ModuleFrame } from "@/api/packed";
import type { BudgetPoint } from "@/api/types";
import { cursorLine } from "./curves";
import { axis, baseLayout, type Figure } from "./figure";
import { colourOf, type Look } from "./look";

export interface BudgetInput {
  planned: readonly BudgetPoint[];
  frames: readonly Pick<ModuleFrame, "step" | "live" | "pruning" | "final">[];
  look: Look;
  totalSteps: number | null;
  cursor?: number | null;
}

/** Planned and actual number of live components. Between prunings components may come back, so only exact counts are drawn. */
export function budgetFigure({ planned, frames, look, totalSteps, cursor }: BudgetInput): Figure {
  const exact = frames.filter((frame) => frame.pruning || frame.final || frame.step === 0);
  // The number holds until the next pruning: the line goes on to the newest snapshot.
  const newest = frames.at(-1);
  const lastExact = exact.at(-1);
  if (newest && lastExact && newest.step > lastExact.step) exact.push({ ...newest, live: lastExact.live });
  const highest = Math.max(1, ...planned.map((point) => point.budget), ...exact.map((frame) => frame.live));
  const step = { type: "scatter", mode: "lines", line: { shape: "hv" } } as const;
  const data = [
    {
      ...step,
      name: "planned",
      x: planned.map((point) => point.step),
      y: planned.map((point) => point.budget),
      line: { shape: "hv", color: look.muted, width: 1.6, dash: "dot" },
      hovertemplate: "%{y} planned<extra></extra>",
    },
  ];
  if (exact.length) {
    data.push({
      ...step,
      name: "live",
      x: exact.map((frame) => frame.step),
      y: exact.map((frame) => frame.live),
      line: { shape: "hv", color: colourOf(look, 0), width: 2.2 },
      hovertemplate: "%{y} live<extra></extra>",
    } as never);
  }
  return {
    data: data as unknown as Figure["data"],
    layout: baseLayout(look, {
      hovermode: "x unified",
      showlegend: exact.length > 0,
      xaxis: axis(look, {
        title: { text: "step", font: { size: 11, color: look.muted }, standoff: 4 },
        showgrid: false,
        ...(totalSteps ? { range: [0, totalSteps] } : {}),
      }),
      yaxis: axis(look, { range: [0, highest * 1.08], nticks: 5 }),
      shapes: typeof cursor === "number" ? [cursorLine(cursor, look)] : [],
    }),
  };
}
