import {
  Alert,
  Group,
  MultiSelect,
  SegmentedControl,
  Select,
  SimpleGrid,
  Skeleton,
  Switch,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { memo, useCallback, useMemo, useState } from "react";
import { isActive } from "@/api/active-runs";
import type { ComparedCurves, Comparison } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import type { Figure } from "@/charts/plot/figure";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot, type PlotPoint } from "@/charts/plot/Plot";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { metricCalled, useAllMetrics } from "@/components/runs/tasks";
import { plural } from "@/components/text/plural";
import { curvesQuery } from "@/features/compare/view/queries";
import type { ChangeView } from "@/features/compare/view/use-compare-view";
import { axes, type CompareView, type CurveAxis, type Smoothing } from "@/features/compare/view/view";
import { CursorTable } from "./CursorTable";
import { axisLabels, axisNotes, type DrawnAxis, drawnAxis } from "./curve-axis";
import { curveRows, metricFigure, mostMetrics, shownMetrics } from "./metric-figure";

interface CurvesPanelProps {
  comparison: Comparison;
  view: CompareView;
  onChange: ChangeView;
}

/** Several metrics of all runs, with one cursor through all charts. */
export function CurvesPanel({ comparison, view, onChange }: CurvesPanelProps) {
  const { runs, groups } = comparison;
  const known = useAllMetrics();
  const titleOf = useCallback((name: string) => metricCalled(name, known).title, [known]);
  const names = useMemo(
    () =>
      [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort((one, other) =>
        titleOf(one).localeCompare(titleOf(other)),
      ),
    [runs, titleOf],
  );
  const chosen = useMemo(
    () => shownMetrics(view.metrics, comparison, names),
    [view.metrics, comparison, names],
  );
  const curves = useQuery(
    curvesQuery({
      runs: view.runs,
      names: chosen,
      axis: view.axis,
      bySeed: view.bySeed,
      smooth: view.smooth,
      isLive: runs.some((run) => isActive(run.status)),
    }),
  );
  const [cursor, setCursor] = useState<number | null>(null);
  const onHover = useCallback((point: PlotPoint | null) => setCursor(point?.x ?? null), []);
  const data = curves.data;
  const most = useMemo(() => Math.max(0, ...(data?.curves ?? []).map((curve) => largest(curve.x))), [data]);
  const axis = data?.axis ?? view.axis;
  const drawn = useMemo(() => drawnAxis(axis, most), [axis, most]);
  const unplaced = data?.unplaced ?? [];
  return (
    <Panel
      title="Curves"
      note={`${axisNotes[axis]} ${view.bySeed ? "Bands are ± one standard deviation over seeds. " : ""}Charts of many points keep every minimum and maximum.`}
      actions={
        <Group gap="xs">
          <SegmentedControl
            size="xs"
            aria-label="Smoothing"
            value={view.smooth}
            onChange={(next) => onChange({ smooth: next as Smoothing })}
            data={[
              { value: "0", label: "Raw" },
              { value: "0.9", label: "Smooth" },
              { value: "0.98", label: "Smoother" },
            ]}
          />
          <Switch
            size="xs"
            label="Log scale"
            checked={view.isLog}
            onChange={(event) => onChange({ isLog: event.currentTarget.checked })}
          />
          <SegmentedControl
            visibleFrom="md"
            size="xs"
            aria-label="Horizontal axis"
            value={view.axis}
            onChange={(next) => onChange({ axis: next as CurveAxis })}
            data={axes.map((one) => ({ value: one, label: axisLabels[one] }))}
          />
          <Select
            hiddenFrom="md"
            size="xs"
            w={150}
            aria-label="Horizontal axis"
            value={view.axis}
            onChange={(next) => onChange({ axis: (next ?? "step") as CurveAxis })}
            data={axes.map((one) => ({ value: one, label: axisLabels[one] }))}
            allowDeselect={false}
          />
        </Group>
      }
    >
      <MultiSelect
        size="xs"
        mb="sm"
        aria-label="Metrics"
        data={names.map((name) => ({ value: name, label: titleOf(name) }))}
        value={chosen}
        onChange={(metrics) => metrics.length > 0 && onChange({ metrics })}
        maxValues={mostMetrics}
        hidePickedOptions
        searchable
        nothingFoundMessage="No such metric"
      />
      {unplaced.length > 0 && (
        <Alert color="gray" variant="light" mb="sm" p="xs">
          {plural(unplaced.length, "run")} {unplaced.length === 1 ? "is" : "are"} not drawn on this axis:{" "}
          {[...new Set(unplaced.map((one) => one.reason))].join("; ")}.
        </Alert>
      )}
      {curves.error && !data ? (
        <ErrorState error={curves.error} onRetry={() => void curves.refetch()} />
      ) : data ? (
        <>
          <SimpleGrid cols={{ base: 1, lg: chosen.length > 1 ? 2 : 1 }} spacing="md">
            {chosen.map((name) => (
              <MetricChart
                key={name}
                name={name}
                title={titleOf(name)}
                data={data}
                drawn={drawn}
                view={view}
                runs={runs.length}
                cursor={cursor}
                onHover={onHover}
              />
            ))}
          </SimpleGrid>
          <CursorTable
            groups={groups}
            data={data}
            names={chosen}
            titleOf={titleOf}
            cursor={cursor === null ? null : cursor * drawn.by}
            axis={axis}
            drawn={drawn}
            hidden={view.hidden}
            onHidden={(hidden) => onChange({ hidden })}
          />
        </>
      ) : (
        <Skeleton height={300} />
      )}
    </Panel>
  );
}

interface MetricChartProps {
  name: string;
  title: string;
  data: ComparedCurves;
  drawn: DrawnAxis;
  view: CompareView;
  runs: number;
  cursor: number | null;
  onHover: (point: PlotPoint | null) => void;
}

const MetricChart = memo(function MetricChart({
  name,
  title,
  data,
  drawn,
  view,
  runs,
  cursor,
  onHover,
}: MetricChartProps) {
  const look = useLook();
  const { hidden, isLog } = view;
  const figureOf = useCallback(
    (look: Look, forFile = true): Figure => metricFigure({ name, data, drawn, hidden, isLog, look, forFile }),
    [name, data, drawn, hidden, isLog],
  );
  const figure = useMemo(() => figureOf(look, false), [figureOf, look]);
  return (
    <div data-testid={`compare-curve-${name}`}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <strong style={{ fontSize: 13 }}>{title}</strong>
        <ExportMenu
          label={`Export ${title}`}
          file={`compare ${name} ${runs} runs`}
          title={title}
          figureOf={figureOf}
          rows={() => curveRows(name, data, drawn)}
        />
      </Group>
      <Plot
        figure={figure}
        height={260}
        label={`${title} of ${plural(data.groups.length, "group")} by ${drawn.title}.`}
        cursor={cursor}
        onHover={onHover}
      />
    </div>
  );
});

const largest = (x: readonly number[]): number => x.reduce((most, one) => Math.max(most, one), 0);
