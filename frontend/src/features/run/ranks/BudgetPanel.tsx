import { Text } from "@mantine/core";
import { useCallback, useMemo } from "react";
import type { Snapshot } from "@/api/snapshots";
import type { RunDetail } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { budgetFigure } from "@/charts/figures/budget";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";
import { steeringText } from "@/features/run/live/timeline";
import { cursorOf, type StepCursor } from "@/features/run/playback/step-cursor";

interface BudgetPanelProps {
  run: RunDetail;
  snapshots: readonly Snapshot[];
  totalSteps: number | null;
  cursor: StepCursor;
}

/** Planned and actual live components, with steering. */
export function BudgetPanel({ run, snapshots, totalSteps, cursor }: BudgetPanelProps) {
  const look = useLook();
  const steering = run.config.steering;
  const marks = useMemo(
    () =>
      (steering ?? []).map((entry) => ({
        step: entry.step,
        text: `step ${count(entry.step)}: ${steeringText(entry.action, entry.target_rank)}`,
      })),
    [steering],
  );
  const figureOf = useCallback(
    (look: Look) =>
      budgetFigure({ planned: run.planned_budget, frames: snapshots, steering: marks, look, totalSteps }),
    [run.planned_budget, snapshots, marks, totalSteps],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const notes = [
    ...(marks.length ? [`The plan includes steering, last at ${marks.at(-1)?.text}.`] : []),
    ...(run.pruning_count > run.pruning_steps.length
      ? [
          `The planned curve shows ${count(run.pruning_steps.length)} of ${count(run.pruning_count)} pruning steps.`,
        ]
      : []),
  ];
  return (
    <Panel
      title="Budget"
      actions={
        <ExportMenu
          label="Export budget"
          file={`${run.name} budget`}
          title={`${run.name} · Budget`}
          figureOf={figureOf}
        />
      }
      note={notes.length ? notes.join(" ") : undefined}
    >
      {run.planned_budget.length || snapshots.length ? (
        <Plot
          figure={figure}
          height={210}
          label={`Planned and actual number of live components by step; ${run.live ?? 0} live now.${marks.length ? ` Steered: ${marks.map((mark) => mark.text).join("; ")}.` : ""}`}
          {...cursorOf(cursor)}
        />
      ) : (
        <Text size="sm" c="dimmed">
          The plan appears once the number of steps is known.
        </Text>
      )}
    </Panel>
  );
}
