import { Button, Group, SegmentedControl, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useMemo, useState } from "react";
import type { Answer, ExperimentDetail } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { differencesFigure, differencesHeight, valuesFigure } from "@/charts/figures/trials";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { unitOf } from "@/components/text/metric-unit";

const fewRows = 24;
const mostVariants = 6;
type View = "differences" | "values";

/** Differences to the baseline, or the metric over the budgets: every seed, means, intervals. */
export function ChartPanel({ answer, experiment }: { answer: Answer; experiment: ExperimentDetail }) {
  const [view, setView] = useState<View>("differences");
  const [showsAll, setShowsAll] = useState(false);
  const [task, setTask] = useState(experiment.tasks[0] ?? "");
  const look = useLook();
  const isNarrow = useMediaQuery("(max-width: 40em)") ?? false;
  const { design } = experiment;
  const unit = unitOf(design.metric);
  const baseline = design.variants.find((variant) => variant.role === "baseline")?.name;
  const every = useMemo(() => answer.comparisons.filter((one) => one.difference.mean !== null), [answer]);
  const rows = showsAll ? every : every.slice(0, fewRows);
  const tasks = experiment.tasks.filter((name) => answer.cells.some((cell) => cell.task === name));
  const shownTask = tasks.includes(task) ? task : (tasks[0] ?? "");
  const cells = useMemo(() => answer.cells.filter((cell) => cell.task === shownTask), [answer, shownTask]);
  const variants = useMemo(() => {
    const present = [...new Set(cells.map((cell) => cell.variant))];
    return present.slice(0, mostVariants);
  }, [cells]);
  const figureOf = useMemo(() => {
    const hasTasks = new Set(every.map((one) => one.task)).size > 1;
    const hasBudgets = new Set(every.map((one) => one.budget)).size > 1;
    const labels = rows.map((one) =>
      [
        one.reference === baseline ? one.variant : `${one.variant} − ${one.reference}`,
        hasBudgets ? `rank ${one.budget}` : null,
        hasTasks ? one.task : null,
      ]
        .filter((part) => part !== null)
        .join(", "),
    );
    return (style: Look) =>
      view === "differences"
        ? differencesFigure(rows, labels, design.margin, unit, style, isNarrow)
        : valuesFigure(cells, variants, unit, titleOf(design.metric.title, unit.name), style);
  }, [view, rows, every, cells, variants, design, unit, baseline, isNarrow]);
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const height = view === "differences" ? differencesHeight(rows.length, isNarrow) : 420;
  const cut = new Set(cells.map((cell) => cell.variant)).size - variants.length;
  if (answer.cells.length === 0) return null;
  return (
    <Panel
      title={view === "differences" ? "Differences" : `${titled(design.metric.title)} over the budgets`}
      note={
        view === "differences"
          ? `To ${baseline ?? "the baseline"}, unless the row names another one. Ring: one seed. Dot: their mean with its 95 % interval. Band: the margin. Cross: a trial collapsed.`
          : `Ring: one seed. Dot: their mean with its 95 % interval. Cross: a collapsed trial.${cut > 0 ? ` The first ${variants.length} variants; select others above.` : ""}`
      }
      actions={
        <Group gap="xs">
          {view === "values" && tasks.length > 1 ? (
            <SegmentedControl size="xs" aria-label="Task" data={tasks} value={shownTask} onChange={setTask} />
          ) : null}
          <SegmentedControl
            size="xs"
            aria-label="What the chart shows"
            value={view}
            onChange={(next) => setView(next as View)}
            data={[
              { value: "differences", label: "Differences" },
              { value: "values", label: "Budgets" },
            ]}
          />
          <ExportMenu
            label="Export chart"
            file={`${experiment.name} ${view}`}
            title={experiment.name}
            height={height}
            figureOf={figureOf}
          />
        </Group>
      }
    >
      {view === "differences" && rows.length === 0 ? (
        <Text size="sm" c="dimmed">
          No comparison has a result yet.
        </Text>
      ) : (
        <Plot
          key={view}
          figure={figure}
          height={height}
          label={
            view === "differences"
              ? `Differences of ${rows.length} comparisons to their reference with 95 % intervals`
              : `${design.metric.title} of ${variants.length} variants over the budgets`
          }
        />
      )}
      {view === "differences" && every.length > fewRows ? (
        <Button variant="default" size="xs" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show fewer" : `Show all ${every.length}`}
        </Button>
      ) : null}
    </Panel>
  );
}

const titled = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const titleOf = (metric: string, unit: string): string => (unit === "points" ? `${metric}, %` : metric);
