import { Group, SegmentedControl, Select } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { everyPoint } from "@/api/every-point";
import type { RunSummary, Series } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { type Curve, curvesFigure } from "@/charts/figures/curves";
import { colourOf, type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { metricCalled, useAllMetrics } from "@/components/runs/tasks";
import { seriesQuery } from "./queries";

type Axis = "step" | "progress";

/** One metric of all runs in one chart. */
export function CurvesPanel({ runs }: { runs: RunSummary[] }) {
  const look = useLook();
  const metrics = useAllMetrics();
  const titleOf = (name: string) => metricCalled(name, metrics).title;
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort((one, other) =>
    titleOf(one).localeCompare(titleOf(other)),
  );
  const [chosen, setChosen] = useState<string | null>(null);
  const [axis, setAxis] = useState<Axis>("step");
  const firstNames = [...runs.map((run) => run.headline.name), "train_loss", "eval_loss"];
  const name = chosen ?? firstNames.find((one) => names.includes(one)) ?? names[0] ?? "";
  const title = titleOf(name);
  const series = useQueries({
    queries: runs.map((run) => ({
      ...seriesQuery(run.id, name, run.status),
      enabled: name !== "" && name in run.metrics,
    })),
    combine: (results) => results.map((result) => result.data),
  });
  const figureOf = useCallback(
    (look: Look) =>
      curvesFigure({
        curves: runs.flatMap((run, index) => {
          const one = series[index];
          return one ? [curveOf(run, one, index, axis, look)] : [];
        }),
        look,
        xTitle: axis,
        xFormat: axis === "step" ? "step %{x}" : "%{x:.1%}",
      }),
    [runs, series, axis],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  return (
    <Panel
      title="Curves"
      note={axis === "progress" ? "Share of each run's planned steps." : undefined}
      actions={
        <Group gap="xs">
          <Select
            size="xs"
            aria-label="Metric"
            data={names.map((name) => ({ value: name, label: titleOf(name) }))}
            value={name}
            onChange={setChosen}
            allowDeselect={false}
            w={200}
          />
          <SegmentedControl
            size="xs"
            aria-label="Horizontal axis"
            value={axis}
            onChange={(next) => setAxis(next as Axis)}
            data={[
              { value: "step", label: "Step" },
              { value: "progress", label: "Progress" },
            ]}
          />
          <ExportMenu
            label="Export curves"
            file={`compare ${name} ${runs.length} runs`}
            title={`${title} of ${runs.length} runs`}
            figureOf={figureOf}
            rows={() => everyPointOf(runs, name)}
          />
        </Group>
      }
    >
      <Plot figure={figure} height={340} label={`${title} of ${runs.length} runs by ${axis}.`} />
    </Panel>
  );
}

/** Every point of the metric, for each run that has it. */
async function everyPointOf(runs: readonly RunSummary[], name: string): Promise<object[]> {
  const having = runs.filter((run) => name in run.metrics);
  const points = await Promise.all(having.map((run) => everyPoint(run.id, name)));
  return having.flatMap((run, index) => (points[index] ?? []).map((point) => ({ run: run.name, ...point })));
}

function curveOf(run: RunSummary, series: Series, index: number, axis: Axis, look: Look): Curve {
  const total = run.total_steps ?? Math.max(1, ...series.steps);
  return {
    name: run.name,
    x: axis === "step" ? series.steps : series.steps.map((step) => step / total),
    values: series.values,
    colour: colourOf(look, index),
    dash: (["solid", "dash", "dot"] as const)[index % 3] ?? "solid",
    hasMarkers: series.steps.length <= 40,
  };
}
