import { Checkbox, Group, Text, Tooltip } from "@mantine/core";
import { createColumnHelper, rowSelectionFeature, tableFeatures } from "@tanstack/react-table";
import { Link } from "react-router";
import { isActive } from "@/api/active-runs";
import type { RunSummary } from "@/api/types";
import { MethodName } from "@/components/runs/MethodName";
import { StepProgress } from "@/components/runs/Progress";
import { stateOf } from "@/components/runs/run-state";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { sharedHeadline } from "@/components/runs/tasks";
import { useServerNow } from "@/components/server/use-server-now";
import { age, count, dateTime, metric, missing, roughly } from "@/components/text/format";

export const features = tableFeatures({ rowSelectionFeature });

interface ColumnLook {
  /** The API's sort key of this column. */
  sort?: string;
  /** A second sort key, for a column that shows two fields. */
  second?: { sort: string; title: string };
  startsDescending?: boolean;
  align?: "right";
  /** Smallest viewport at which the column is shown. */
  from?: "sm" | "md" | "lg" | "xl";
  width?: number | string;
}

/** The name takes the width that the others leave. */
export const looks: Record<string, ColumnLook> = {
  select: { width: 40 },
  status: { sort: "status", from: "sm", width: 140 },
  name: { sort: "name" },
  method: { sort: "method", from: "md", width: 118 },
  model: { sort: "model_id", second: { sort: "data_id", title: "Data" }, from: "lg", width: 150 },
  progress: { sort: "step", startsDescending: true, from: "sm", width: 176 },
  headline: { sort: "headline", startsDescending: true, align: "right", from: "sm", width: 96 },
  live: { sort: "live", startsDescending: true, align: "right", from: "xl", width: 76 },
  meanRank: { sort: "mean_rank", startsDescending: true, align: "right", from: "md", width: 104 },
  age: { sort: "created_at", startsDescending: true, align: "right", from: "md", width: 102 },
};

const helper = createColumnHelper<typeof features, RunSummary>();

export const columns = helper.columns([
  helper.display({
    id: "select",
    header: ({ table }) => (
      <Checkbox
        size="xs"
        aria-label="Select all runs shown"
        checked={table.getIsAllRowsSelected()}
        indeterminate={table.getIsSomeRowsSelected() && !table.getIsAllRowsSelected()}
        onChange={table.getToggleAllRowsSelectedHandler()}
      />
    ),
    cell: ({ row }) => (
      <Checkbox
        size="xs"
        aria-label={`Select ${row.original.name}`}
        checked={row.getIsSelected()}
        onChange={row.getToggleSelectedHandler()}
      />
    ),
  }),
  helper.display({
    id: "status",
    header: "Status",
    cell: ({ row: { original: run } }) => <StatusBadge state={stateOf(run)} />,
  }),
  helper.display({ id: "name", header: "Run", cell: ({ row }) => <NameCell run={row.original} /> }),
  helper.display({
    id: "method",
    header: "Method",
    cell: ({ row }) => <MethodName name={row.original.method} />,
  }),
  helper.display({
    id: "model",
    header: "Model",
    cell: ({ row }) => <ModelCell run={row.original} />,
  }),
  helper.display({
    id: "progress",
    header: "Progress",
    cell: ({ row }) => <ProgressCell run={row.original} />,
  }),
  helper.display({
    id: "headline",
    header: ({ table }) => capitalised(sharedHeadline(table.getRowModel().rows.map((row) => row.original))),
    cell: ({ row }) => <HeadlineCell run={row.original} />,
  }),
  helper.display({ id: "live", header: "Live", cell: ({ row }) => count(row.original.live) }),
  helper.display({
    id: "meanRank",
    header: "Mean rank",
    cell: ({ row: { original: run } }) => (run.mean_rank === null ? missing : run.mean_rank.toFixed(2)),
  }),
  helper.display({
    id: "age",
    header: "Created",
    cell: ({ row }) => <AgeCell time={row.original.created_at} />,
  }),
]);

function NameCell({ run }: { run: RunSummary }) {
  const trouble = run.status === "failed" || run.status === "interrupted" ? run.message : null;
  return (
    <div style={{ minWidth: 0 }}>
      <Link
        to={`/runs/${run.id}`}
        className="plain-link clip"
        style={{ display: "block", fontWeight: 600 }}
        title={run.name}
      >
        {run.name}
      </Link>
      {/* Small screens hide the other columns. */}
      <Group gap={8} wrap="nowrap" hiddenFrom="sm" my={2}>
        <StatusBadge state={stateOf(run)} />
        <Text size="xs" c="dimmed" className="clip">
          {count(run.step)} / {count(run.total_steps)} · {run.headline.title} {metric(run.headline.best)}
        </Text>
      </Group>
      {trouble ? (
        <Text size="xs" c="red" className="clip" title={trouble}>
          {trouble}
        </Text>
      ) : (
        <Text size="xs" c="dimmed" className="clip">
          {[
            run.parent_id ? `forked from ${run.parent_id}` : null,
            run.id,
            ...run.tags.map((tag) => `#${tag}`),
          ]
            .filter(Boolean)
            .join(" · ")}
        </Text>
      )}
    </div>
  );
}

function ModelCell({ run: { model_id: model, data_id: data } }: { run: RunSummary }) {
  return (
    <>
      <div className="clip" title={model}>
        {model}
      </div>
      <Text size="xs" c="dimmed" className="clip" title={data}>
        {data}
      </Text>
    </>
  );
}

function ProgressCell({ run }: { run: RunSummary }) {
  const hint =
    run.eta_s !== null && isActive(run.status)
      ? `${roughly(run.eta_s)} left`
      : run.status === "running"
        ? "estimating"
        : "";
  return <StepProgress step={run.step} total={run.total_steps} isActive={isActive(run.status)} hint={hint} />;
}

function HeadlineCell({ run }: { run: RunSummary }) {
  const { title, best, best_step, last } = run.headline;
  if (best === null) return missing;
  return (
    <Tooltip label={`Best evaluation ${title}, at step ${best_step}. Last: ${metric(last)}.`}>
      <span>{metric(best)}</span>
    </Tooltip>
  );
}

function AgeCell({ time }: { time: number }) {
  const now = useServerNow(10_000);
  return <span title={dateTime(time)}>{age(time, now)}</span>;
}

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
