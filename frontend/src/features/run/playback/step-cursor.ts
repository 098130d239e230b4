import type { PlotPoint } from "@/charts/plot/Plot";

/** The step that all charts of a run share. */
export interface StepCursor {
  /** Shown as a line in every chart; null while the newest is shown. */
  step: number | null;
  /** Shows the snapshot nearest to a step while the pointer is there; null ends it. */
  preview: (step: number | null) => void;
  /** Selects the snapshot nearest to a step. */
  pin: (step: number) => void;
}

/** Props that make a chart over steps show and set the cursor. */
export const cursorOf = (cursor: StepCursor | null) =>
  cursor
    ? {
        cursor: cursor.step,
        onHover: (point: PlotPoint | null) => cursor.preview(point ? point.x : null),
        onClick: (point: PlotPoint) => cursor.pin(point.x),
      }
    : {};
