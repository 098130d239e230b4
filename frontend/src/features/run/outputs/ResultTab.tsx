import { Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { ApiError, http, unwrap } from "@/api/client";
import type { RunDetail, RunResults } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { confusionFigure } from "@/charts/figures/confusion";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";
import { type Order, RowsPanel } from "./RowsPanel";

const rowsAPage = 20;

/** What the finished run's model predicts for its evaluation rows. */
export default function ResultTab({ run }: { run: RunDetail }) {
  const [order, setOrder] = useState<Order>("worst");
  const [offset, setOffset] = useState(0);
  const results = useQuery({
    queryKey: ["run", run.id, "results", run.attempt, order, offset],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/results", {
          signal,
          params: { path: { run_id: run.id }, query: { order, offset, limit: rowsAPage } },
        }),
      ),
    enabled: Boolean(run.artifact),
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: (before) => before,
  });
  const isMissing = results.error instanceof ApiError && results.error.status === 404;
  if (!run.artifact || isMissing) {
    return (
      <EmptyState title={run.artifact ? "No result saved" : "No result yet"}>
        {run.artifact
          ? "Predictions for the evaluation rows were not saved: the task does not have them, or this run was trained with an older version of RankScope."
          : "The predictions for the evaluation rows are shown when training has ended."}
      </EmptyState>
    );
  }
  if (results.error) return <ErrorState error={results.error} onRetry={() => void results.refetch()} />;
  if (!results.data) return <Skeleton height={420} />;
  const { summary } = results.data;
  return (
    <Stack gap="md">
      {summary.confusion ? <ConfusionPanel run={run} summary={summary} counts={summary.confusion} /> : null}
      <RowsPanel
        run={run}
        results={results.data}
        order={order}
        offset={offset}
        rowsAPage={rowsAPage}
        onOrder={(next) => {
          setOrder(next);
          setOffset(0);
        }}
        onOffset={setOffset}
      />
    </Stack>
  );
}

interface ConfusionProps {
  run: RunDetail;
  summary: RunResults["summary"];
  counts: number[][];
}

function ConfusionPanel({ run, summary, counts }: ConfusionProps) {
  const look = useLook();
  const { labels, step } = summary;
  const figureOf = useCallback((one: Look) => confusionFigure(counts, labels, one), [counts, labels]);
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const title = "Confusion matrix";
  return (
    <Panel
      title={title}
      note={`${count(summary.rows)} evaluation rows at step ${count(step)}. Colours show the share of the row's class.`}
      actions={
        <ExportMenu
          label="Export the confusion matrix"
          file={`${run.name} ${title} step ${step}`}
          title={`${run.name} · ${title} at step ${step}`}
          figureOf={figureOf}
        />
      }
    >
      <Plot
        figure={figure}
        height={Math.min(620, 120 + 44 * labels.length)}
        label={`${title} of ${labels.length} classes.`}
      />
    </Panel>
  );
}
