import { Group, SegmentedControl, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { type Snapshot, snapshotsOf } from "@/api/snapshots";
import type { Comparison, RankHistory, RunSummary } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { type Grouping, rankCountsFigure, rankGroups, rankGroupsFigure } from "@/charts/figures/distribution";
import type { Figure } from "@/charts/plot/figure";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { methodCalled, useMethods } from "@/components/runs/methods";
import { keyOf } from "@/features/compare/view/looks";
import { ranksQuery } from "@/features/compare/view/queries";
import type { ChangeView } from "@/features/compare/view/use-compare-view";
import type { CompareView } from "@/features/compare/view/view";

interface SpreadPanelProps {
  comparison: Comparison;
  view: CompareView;
  onChange: ChangeView;
}

/** How each run spreads its budget over the model, the smallest budget first (Mao et al. 2024, Figure 2). */
export function SpreadPanel({ comparison, view, onChange }: SpreadPanelProps) {
  const methods = useMethods();
  const { runs, groups } = comparison;
  const ranked = useMemo(
    () =>
      groups
        .flatMap((group) => runs.find((run) => run.id === keyOf(group)) ?? [])
        .filter((run) => methodCalled(run.method, methods).has_ranks)
        .sort((one, other) => (one.mean_rank ?? 0) - (other.mean_rank ?? 0)),
    [runs, groups, methods],
  );
  const histories = useQueries({
    queries: ranked.map((run) => ranksQuery(run.id, 1, run.status)),
    combine: (results) => results.map((result) => result.data),
  });
  if (ranked.length === 0) return null;
  // All charts end at the largest initial rank, so that bars of the same height are equal.
  const width = Math.max(1, ...histories.map((history) => history?.width ?? 1));
  return (
    <Panel
      title="Distribution of ranks by budget"
      note={`${view.spread === "rank" ? "How many modules have each rank." : "Bars are live components; dots are the mean rank of the modules with its standard deviation."} The smallest budget first, all on the same axes${groups.length < runs.length ? "; of groups their first run" : ""}.`}
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Distribution of ranks"
          value={view.spread}
          onChange={(next) => onChange({ spread: next as Grouping })}
          data={[
            { value: "layer", label: "By layer" },
            { value: "kind", label: "By kind" },
            { value: "rank", label: "By rank" },
          ]}
        />
      }
    >
      <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="md">
        {ranked.map((run, index) => (
          <OneSpread key={run.id} run={run} history={histories[index]} grouping={view.spread} width={width} />
        ))}
      </SimpleGrid>
    </Panel>
  );
}

interface OneSpreadProps {
  run: RunSummary;
  history: RankHistory | undefined;
  grouping: Grouping;
  width: number;
}

function OneSpread({ run, history, grouping, width }: OneSpreadProps) {
  const look = useLook();
  const snapshot = useMemo(() => (history ? snapshotsOf(history).at(-1) : undefined), [history]);
  const figureOf = useCallback(
    (look: Look): Figure =>
      history && snapshot ? figureFor(history, snapshot, grouping, width, look) : { data: [], layout: {} },
    [history, snapshot, grouping, width],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const budget = run.mean_rank === null ? "" : `mean rank ${run.mean_rank.toFixed(2)}`;
  return (
    <div data-testid="rank-spread">
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" fw={600} className="clip" title={run.name}>
          {run.name}
        </Text>
        <ExportMenu
          label={`Export distribution of ${run.name}`}
          file={`${run.name} distribution by ${grouping}`}
          title={`${run.name} · ${budget}`}
          figureOf={figureOf}
        />
      </Group>
      <Text size="xs" c="dimmed" className="numbers">
        {snapshot ? `${budget} · step ${snapshot.step}` : "\u00a0"}
      </Text>
      {snapshot ? (
        <Plot figure={figure} height={220} label={`Distribution of ranks of ${run.name} by ${grouping}.`} />
      ) : history ? (
        <Text size="sm" c="dimmed">
          No snapshot yet.
        </Text>
      ) : (
        <Skeleton height={220} />
      )}
    </div>
  );
}

const figureFor = (
  history: RankHistory,
  { ranks }: Snapshot,
  grouping: Grouping,
  width: number,
  look: Look,
): Figure =>
  grouping === "rank"
    ? rankCountsFigure(ranks, width, look)
    : rankGroupsFigure(rankGroups(history.modules, ranks, grouping), width, grouping, look);
