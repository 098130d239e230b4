import { Text } from "@mantine/core";
import { useMemo } from "react";
import { type Curve, curvesFigure } from "@/charts/curves";
import { colourOf, useLook } from "@/charts/look";
import { Plot } from "@/charts/Plot";
import { count, metric } from "@/components/format";
import { Panel } from "@/components/Panel";
import type { LiveRun, Points } from "./live-run";

interface CurvePanelProps {
  series: LiveRun["series"];
  totalSteps: number | null;
  cursor: number | null;
}

export function LossPanel({ series, totalSteps, cursor }: CurvePanelProps) {
  const look = useLook();
  const train = series["train_loss"];
  const figure = useMemo(
    () =>
      curvesFigure({
        curves: train ? [curve("train loss", train, colourOf(look, 0), { isSmoothed: true })] : [],
        look,
        cursor,
        xRange: totalSteps ? [0, totalSteps] : undefined,
      }),
    [train, look, cursor, totalSteps],
  );
  return (
    <Panel title="Train loss" actions={<Last points={train} />} note={reducedNote(train)}>
      <Plot
        figure={figure}
        height={210}
        label={`Train loss by step; last ${metric(train?.values.at(-1))}.`}
      />
    </Panel>
  );
}

export function AccuracyPanel({ series, totalSteps, cursor }: CurvePanelProps) {
  const look = useLook();
  const accuracy = series["eval_accuracy"];
  const loss = series["eval_loss"];
  const figure = useMemo(
    () =>
      curvesFigure({
        curves: [
          ...(accuracy ? [curve("accuracy", accuracy, colourOf(look, 2), { hasMarkers: true })] : []),
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
        cursor,
        secondTitle: "loss",
        yTitle: "accuracy",
        xRange: totalSteps ? [0, totalSteps] : undefined,
      }),
    [accuracy, loss, look, cursor, totalSteps],
  );
  return (
    <Panel title="Evaluation" actions={<Last points={accuracy} />} note={reducedNote(accuracy)}>
      <Plot
        figure={figure}
        height={210}
        label={`Evaluation accuracy and loss by step; last accuracy ${metric(accuracy?.values.at(-1))}.`}
      />
    </Panel>
  );
}

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

function reducedNote(points: Points | undefined): string | undefined {
  if (!points?.isReduced) return undefined;
  return `${count(points.steps.length)} of ${count(points.total)} points; minima and maxima are kept.`;
}
