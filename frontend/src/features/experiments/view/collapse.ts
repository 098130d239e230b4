import type { Collapse } from "@/api/types";

/** Why the value of a trial is not that of a trained model. */
export const collapseText: Record<Collapse, string> = {
  majority: "always one class",
  diverged: "diverged",
};
