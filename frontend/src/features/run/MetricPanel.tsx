import { Group, Select, Switch } from "@mantine/core";
import { useMemo, useState } from "react";
import { curvesFigure } from "@/charts/curves";
import { colourOf, useLook } from "@/charts/look";
import { Plot } from "@/charts/Plot";
import { metric } from "@/components/format";
import { Panel } from "@/components/Panel";
import type { LiveRun } from "./live-run";
import { cursorOf, type StepCursor } from "./step-cursor";

const drawnElsewhere = new Set(["train_loss", "eval_loss", "eval_accuracy"]);

interface MetricPanelProps {
  series: LiveRun["series"];
  totalSteps: number | null;
  cursor: StepCursor | null;
}

/** Any other series that the run records. */
export function MetricPanel({ series, totalSteps, cursor }: MetricPanelProps) {
  const look = useLook();
  const names = Object.keys(series).sort();
  const [chosen, setChosen] = useState<string | null>(null);
  const [isLog, setLog] = useState(false);
  const name = chosen ?? names.find((one) => !drawnElsewhere.has(one)) ?? names[0] ?? "";
  const points = series[name];
  const figure = useMemo(
    () =>
      curvesFigure({
        curves: points ? [{ name, x: points.steps, values: points.values, colour: colourOf(look, 3) }] : [],
        look,
        isLog,
        xRange: totalSteps ? [0, totalSteps] : undefined,
      }),
    [points, name, look, isLog, totalSteps],
  );
  if (names.length === 0) return null;
  return (
    <Panel
      title="More curves"
      actions={
        <Group gap="md">
          <Switch
            size="xs"
            label="Log"
            checked={isLog}
            onChange={(event) => setLog(event.currentTarget.checked)}
          />
          <Select
            size="xs"
            aria-label="Metric"
            data={names}
            value={name}
            onChange={setChosen}
            allowDeselect={false}
            comboboxProps={{ keepMounted: false }}
            w={160}
          />
        </Group>
      }
    >
      <Plot
        figure={figure}
        height={190}
        label={`${name} by step; last ${metric(points?.values.at(-1))}.`}
        {...cursorOf(cursor)}
      />
    </Panel>
  );
}
