import { Group, Switch, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { everyPoint } from "@/api/every-point";
import type { Ghost, RunDetail } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { type Curve, curvesFigure } from "@/charts/figures/curves";
import { colourOf, type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { count, metric } from "@/components/text/format";
import type { LiveRun } from "@/features/run/live/live-run";
import type { Points } from "@/features/run/live/points";
import { cursorOf, type StepCursor } from "@/features/run/playback/step-cursor";
import { ghostQuery } from "./queries";

const height = 210;

/** With fewer points, a mean adds nothing. */
const fewestSmoothed = 20;

interface CurvePanelProps {
  run: RunDetail;
  series: LiveRun["series"];
  totalSteps: number | null;
  cursor: StepCursor | null;
}

export function LossPanel({ run, series, totalSteps, cursor }: CurvePanelProps) {
  const look = useLook();
  const train = series["train_loss"];
  const [hasGhosts, ghosts, ghostSwitch] = useGhosts(run, "train_loss");
  const figureOf = useCallback(
    (look: Look) =>
      curvesFigure({
        curves: train
          ? [
              ...ghosts.map((ghost) => ghostCurve(ghost, look.muted)),
              curve("train loss", train, colourOf(look, 0), {
                smoothed: train.steps.length > fewestSmoothed ? (train.smooth?.values ?? []) : [],
              }),
            ]
          : [],
        look,
        xRange: totalSteps ? [0, totalSteps] : undefined,
      }),
    [train, ghosts, totalSteps],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  return (
    <Panel
      title="Train loss"
      actions={
        <Group gap="md">
          {hasGhosts ? ghostSwitch : null}
          <Group gap={6} wrap="nowrap">
            <Last points={train} />
            <ExportMenu
              label="Export train loss"
              file={`${run.name} train loss`}
              title={`${run.name} · Train loss`}
              figureOf={figureOf}
              rows={() => everyPoint(run.id, "train_loss")}
            />
          </Group>
        </Group>
      }
      note={reducedNote(train)}
    >
      <Plot
        figure={figure}
        height={height}
        label={`Train loss by step; last ${metric(train?.values.at(-1))}.`}
        {...cursorOf(cursor)}
      />
    </Panel>
  );
}

/** The task's main metric, and the loss on a separate axis. */
export function EvaluationPanel({ run, series, totalSteps, cursor }: CurvePanelProps) {
  const look = useLook();
  const { name, title } = run.headline;
  const [hasGhosts, ghosts, ghostSwitch] = useGhosts(run, name);
  const headline = series[name];
  const loss = name === "eval_loss" ? undefined : series["eval_loss"];
  const figureOf = useCallback(
    (look: Look) =>
      curvesFigure({
        curves: [
          ...ghosts.map((ghost) => ghostCurve(ghost, look.muted)),
          ...(headline ? [curve(title, headline, colourOf(look, 2), { hasMarkers: true })] : []),
          ...(loss
            ? [
                curve("loss", loss, colourOf(look, 1), {
                  hasMarkers: true,
                  onSecondAxis: true,
                  dash: "dot" as const,
                }),
              ]
            : []),
        ],
        look,
        secondTitle: "loss",
        yTitle: title,
        xRange: totalSteps ? [0, totalSteps] : undefined,
      }),
    [headline, title, loss, ghosts, totalSteps],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  return (
    <Panel
      title="Evaluation"
      actions={
        <Group gap="md">
          {hasGhosts ? ghostSwitch : null}
          <Group gap={6} wrap="nowrap">
            <Last points={headline} />
            <ExportMenu
              label="Export evaluation"
              file={`${run.name} evaluation`}
              title={`${run.name} · Evaluation`}
              figureOf={figureOf}
              rows={async () => {
                const drawn = [...new Set([name, "eval_loss"])].filter((one) => one in series);
                return (await Promise.all(drawn.map((one) => everyPoint(run.id, one)))).flat();
              }}
            />
          </Group>
        </Group>
      }
      note={reducedNote(headline)}
    >
      <Plot
        figure={figure}
        height={height}
        label={`Evaluation ${title}${loss ? " and loss" : ""} by step; last ${title} ${metric(headline?.values.at(-1))}.`}
        {...cursorOf(cursor)}
      />
    </Panel>
  );
}

const none: Ghost[] = [];

/** Whether there are replaced attempts, their curves, and the switch that shows them. */
function useGhosts(run: RunDetail, name: string) {
  const [isOn, setOn] = useState(false);
  const started = run.attempts.filter((attempt) => attempt.start_step !== null).length;
  const ghosts = useQuery(ghostQuery(run.id, name, started, isOn));
  const mayHave = started > 1;
  const control = (
    <Switch
      size="xs"
      label="Show replaced attempts"
      title="What an earlier attempt recorded after the step from which a later one resumed"
      checked={isOn}
      onChange={(event) => setOn(event.currentTarget.checked)}
    />
  );
  return [mayHave, isOn ? (ghosts.data?.ghosts ?? none) : none, control] as const;
}

const ghostCurve = (ghost: Ghost, colour: string): Curve => ({
  name: `attempt ${ghost.attempt}, replaced`,
  x: ghost.steps,
  values: ghost.values,
  colour,
  dash: "dot",
});

const curve = (name: string, points: Points, colour: string, more: Partial<Curve>): Curve => ({
  name,
  x: points.steps,
  values: points.values,
  colour,
  ...more,
});

function Last({ points }: { points: Points | undefined }) {
  return (
    <Text size="sm" className="numbers" fw={600}>
      {metric(points?.values.at(-1))}
    </Text>
  );
}

/** Always a line, so that the panel keeps its height when a growing curve is reduced. */
function reducedNote(points: Points | undefined): string {
  if (!points?.isReduced) return "\u00a0";
  return `${count(points.steps.length)} of ${count(points.total)} points; minima and maxima are kept.`;
}
