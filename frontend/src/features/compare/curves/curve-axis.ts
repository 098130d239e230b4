/** The axes of the curves: titles, units and the value under the cursor. */
import { count, shortCount } from "@/components/text/format";
import type { CurveAxis } from "@/features/compare/view/view";

export const axisLabels: Record<CurveAxis, string> = {
  step: "Step",
  progress: "Progress",
  time: "Time",
  rows: "Rows",
  tokens: "Tokens",
  live_parameters: "Live parameters",
};

export const axisNotes: Record<CurveAxis, string> = {
  step: "Optimizer steps.",
  progress: "Share of each run's planned steps.",
  time: "Time on a worker, without waiting in the queue or between attempts.",
  rows: "Training rows seen: steps × batch size × gradient accumulation.",
  tokens: "Tokens of the training inputs seen, without padding.",
  live_parameters: "Parameters of the adapter by its ranks at that step; training goes from left to right.",
};

export interface DrawnAxis {
  title: string;
  /** Divisor of the API's positions. */
  by: number;
  /** Plotly's format of a position. */
  format: string;
  isReversed: boolean;
}

/** How the axis is drawn when its positions reach `most`. */
export function drawnAxis(axis: CurveAxis, most: number): DrawnAxis {
  switch (axis) {
    case "progress":
      return { title: "progress", by: 1, format: "%{x:.1%}", isReversed: false };
    case "time":
      return most > 3 * 3600
        ? { title: "hours", by: 3600, format: "%{x:.2f} h", isReversed: false }
        : { title: "minutes", by: 60, format: "%{x:.1f} min", isReversed: false };
    case "rows":
      return { title: "training rows", by: 1, format: "%{x:,.0f} rows", isReversed: false };
    case "tokens":
      return { title: "tokens", by: 1, format: "%{x:,.0f} tokens", isReversed: false };
    case "live_parameters":
      return { title: "live parameters", by: 1, format: "%{x:,.0f} parameters", isReversed: true };
    case "step":
      return { title: "step", by: 1, format: "step %{x:,.0f}", isReversed: false };
  }
}

/** A position as text: step 1,200; 45.0 %; 3.2 min. */
export function placeText(axis: CurveAxis, x: number, drawn: DrawnAxis): string {
  if (axis === "progress") return `${(100 * x).toFixed(1)} %`;
  if (axis === "time") return `${x.toFixed(1)} ${drawn.title}`;
  if (axis === "step") return `step ${count(x)}`;
  return `${shortCount(x)} ${drawn.title}`;
}
