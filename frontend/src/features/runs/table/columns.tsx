import { Checkbox, Group, Text, Tooltip } from "@mantine/core";
import { createColumnHelper, rowSelectionFeature, tableFeatures } from "@tanstack/react-table";
import { Suspense } from "react";
import { Link } from "react-router";
import { isActive } from "@/api/active-runs";
import type { RunField, TableRow } from "@/api/types";
import { MethodName } from "@/components/runs/MethodName";
import { StepProgress } from "@/components/runs/Progress";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { sharedHeadline } from "@/components/runs/tasks";
import { lazyPart } from "@/components/server/load-part";
import { useServerNow } from "@/components/server/use-server-now";
import { age, count, dateTime, metric, missing, roughly } from "@/components/text/format";
import { RowTags } from "@/features/runs/labels/RowTags";
import { columnTitle } from "./column-title";
import { Delta } from "./Delta";
import { numberText } from "./number-text";
import { rowState } from "./row-state";

const SparklineCell = lazyPart(
  () => import("./SparklineCell"),
  (part) => part.SparklineCell,
);

export const features = tableFeatures({ rowSelectionFeature });

export interface ColumnLook {
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
  model: { sort: "model", second: { sort: "data", title: "Data" }, from: "lg", width: 150 },
  progress: { sort: "step", startsDescending: true, from: "sm", width: 156 },
  curve: { from: "xl", width: 92 },
  headline: { sort: "headline", startsDescending: true, align: "right", from: "sm", width: 96 },
  age: { sort: "created", startsDescending: true, align: "right", from: "md", width: 102 },
};

/** A column of a chosen field. */
export const fieldLook = (field: RunField, isWide: boolean): ColumnLook => ({
  sort: field.name,
  startsDescending: field.kind !== "text" && field.kind !== "choice" && field.lower_is_better !== true,
  width: 118,
  ...(isWide ? {} : { from: "md" as const }),
  ...(field.kind === "text" || field.kind === "choice" ? {} : { align: "right" as const }),
});

const helper = createColumnHelper<typeof features, TableRow>();

/** The columns of every table, then those of the chosen fields. */
export const columnsFor = (
  fields: readonly RunField[],
  baseline: TableRow | null,
  queue: readonly string[],
  hasCurves: boolean,
) =>
  helper.columns([
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
      cell: ({ row: { original: run } }) => <StatusBadge state={rowState(run, queue)} />,
    }),
    helper.display({
      id: "name",
      header: "Run",
      cell: ({ row }) => (
        <NameCell run={row.original} queue={queue} isBaseline={baseline?.id === row.original.id} />
      ),
    }),
    helper.display({
      id: "method",
      header: "Method",
      cell: ({ row }) => <MethodName name={row.original.method} />,
    }),
    helper.display({ id: "model", header: "Model", cell: ({ row }) => <ModelCell run={row.original} /> }),
    helper.display({
      id: "progress",
      header: "Progress",
      cell: ({ row }) => <ProgressCell run={row.original} />,
    }),
    ...(hasCurves
      ? [
          helper.display({
            id: "curve",
            header: "Train loss",
            cell: ({ row }) => (
              <Suspense>
                <SparklineCell run={row.original} />
              </Suspense>
            ),
          }),
        ]
      : []),
    helper.display({
      id: "headline",
      header: ({ table }) => capitalised(sharedHeadline(table.getRowModel().rows.map((row) => row.original))),
      cell: ({ row }) => <HeadlineCell run={row.original} baseline={baseline} />,
    }),
    ...fields.map((field, place) =>
      helper.display({
        id: field.name,
        header: () => <span title={field.name}>{columnTitle(field)}</span>,
        cell: ({ row }) => (
          <FieldCell
            field={field}
            value={row.original.cells[place]}
            than={baseline?.cells[place]}
            isBaseline={baseline?.id === row.original.id}
          />
        ),
      }),
    ),
    helper.display({
      id: "age",
      header: "Created",
      cell: ({ row }) => <AgeCell time={row.original.created_at} />,
    }),
  ]);

function NameCell({
  run,
  queue,
  isBaseline,
}: {
  run: TableRow;
  queue: readonly string[];
  isBaseline: boolean;
}) {
  const about = [
    isBaseline ? "baseline" : null,
    run.archived ? "archived" : null,
    run.project || null,
    run.parent_id ? `forked from ${run.parent_id}` : null,
    run.id,
  ].filter(Boolean);
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
        <StatusBadge state={rowState(run, queue)} />
        <Text size="xs" c="dimmed" className="clip">
          {count(run.step)} / {count(run.total_steps)} · {run.headline.title} {metric(run.headline.best)}
        </Text>
      </Group>
      {run.trouble ? (
        <Text size="xs" c="red" className="clip" title={run.trouble}>
          {run.trouble}
        </Text>
      ) : (
        <Group gap={6} wrap="nowrap" className="name-line">
          <Text size="xs" c="dimmed" className="clip" style={{ flex: "0 1 auto" }}>
            {about.join(" · ")}
          </Text>
          <RowTags run={run} />
        </Group>
      )}
    </div>
  );
}

function ModelCell({ run: { model_id: model, data_id: data } }: { run: TableRow }) {
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

function ProgressCell({ run }: { run: TableRow }) {
  const hint =
    typeof run.eta_s === "number" && isActive(run.status)
      ? `${roughly(run.eta_s)} left`
      : run.status === "running"
        ? "estimating"
        : "";
  return <StepProgress step={run.step} total={run.total_steps} isActive={isActive(run.status)} hint={hint} />;
}

function HeadlineCell({ run, baseline }: { run: TableRow; baseline: TableRow | null }) {
  const { title, best, best_step, lower_is_better } = run.headline;
  if (best === null) return missing;
  const isComparable = baseline !== null && baseline.id !== run.id && baseline.headline.title === title;
  return (
    <Tooltip label={`Best evaluation ${title}, at step ${best_step}.`}>
      <span>
        {metric(best)}
        {isComparable ? (
          <Delta value={best} than={baseline.headline.best} lowerIsBetter={lower_is_better} />
        ) : null}
      </span>
    </Tooltip>
  );
}

interface FieldCellProps {
  field: RunField;
  value: TableRow["cells"][number] | undefined;
  than: TableRow["cells"][number] | undefined;
  isBaseline: boolean;
}

function FieldCell({ field, value, than, isBaseline }: FieldCellProps) {
  if (value === null || value === undefined) return missing;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string")
    return (
      <div className="clip" title={value}>
        {value}
      </div>
    );
  if (field.kind === "time") return <AgeCell time={value} />;
  return (
    <>
      {numberText(field, value)}
      {isBaseline || typeof than !== "number" ? null : (
        <Delta
          value={value}
          than={than}
          lowerIsBetter={field.lower_is_better}
          text={(difference) => numberText(field, difference)}
        />
      )}
    </>
  );
}

function AgeCell({ time }: { time: number }) {
  const now = useServerNow(10_000);
  return <span title={dateTime(time)}>{age(time, now)}</span>;
}

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
