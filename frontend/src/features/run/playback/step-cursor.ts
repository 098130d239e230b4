import type { PlotPoint } from "@/charts/plot/Plot";

/** The step that all charts of a run share. */
export interface StepCursor {
  /** Drawn as a line in every chart; null while the newest is shown. */
  step: number | null;
  /** Shows the snapshot nearest to a step for as long as a person points there; null ends it. */
  preview: (step: number | null) => void;
  /** Stays at the snapshot nearest to a step. */
  pin: (step: number) => void;
}

/** Makes a chart whose x is the step show the cursor, and set it. */
export const cursorOf = (cursor: StepCursor | null) =>
  cursor
    ? {
        cursor: cursor.step,
        onHover: (point: PlotPoint | null) => cursor.preview(point ? point.x : null),
        onClick: (point: PlotPoint) => cursor.pin(point.x),
      }
    : {};
