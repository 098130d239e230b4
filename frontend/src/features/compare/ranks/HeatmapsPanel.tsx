import { Button, Group, SegmentedControl, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type Snapshot, snapshotsOf } from "@/api/snapshots";
import type { Comparison, RankHistory, RunSummary } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { heatmapFigure } from "@/charts/heatmap/heatmap";
import { heatmapHeight } from "@/charts/heatmap/heatmap-layout";
import { moduleGrid } from "@/charts/heatmap/module-grid";
import { rankRows } from "@/charts/heatmap/rank-rows";
import { meanings, type RankView } from "@/charts/heatmap/rank-values";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { methodCalled, useMethods } from "@/components/runs/methods";
import { plural } from "@/components/text/plural";
import { keyOf } from "@/features/compare/view/looks";
import { ranksQuery } from "@/features/compare/view/queries";

/** More are shown on request: 20 heatmaps fill ten screens. */
const fewHeatmaps = 6;

type Colouring = "rank" | "mean";

interface Shown {
  run: RunSummary;
  ranks: RankHistory;
  frame: Snapshot;
  view: RankView;
}

/** The newest ranks of every run side by side, on one scale. */
export function HeatmapsPanel({ comparison }: { comparison: Comparison }) {
  const [value, setValue] = useState<Colouring>("rank");
  const methods = useMethods();
  const [showsAll, setShowsAll] = useState(false);
  const { runs, groups } = comparison;
  const firsts = useMemo(
    () => groups.flatMap((group) => runs.find((run) => run.id === keyOf(group)) ?? []),
    [runs, groups],
  );
  const every = useMemo(
    () => firsts.filter((run) => methodCalled(run.method, methods).has_ranks),
    [firsts, methods],
  );
  const without = firsts.length - every.length;
  const ranked = useMemo(() => (showsAll ? every : every.slice(0, fewHeatmaps)), [every, showsAll]);
  const frames = useQueries({
    queries: ranked.map((run) => ranksQuery(run.id, 1, run.status)),
    combine: (results) => results.map((result) => ({ data: result.data, isPending: result.isPending })),
  });
  const shown = useMemo(
    () =>
      frames.map(({ data }, index): Shown | null => {
        const frame = data && snapshotsOf(data).at(-1);
        const run = ranked[index];
        return data && frame && run ? { run, ranks: data, frame, view: viewOf(frame, data.width) } : null;
      }),
    [frames, ranked],
  );
  const present = shown.filter((one) => one !== null);
  const top =
    value === "rank"
      ? Math.max(1, ...present.map((one) => one.ranks.width))
      : Math.max(0, ...present.flatMap((one) => [...one.frame.mean]).filter(Number.isFinite));

  return (
    <Panel
      title="Ranks side by side"
      note={`The last snapshot of each run${groups.length < runs.length ? ", of groups their first run" : ""}; colours go from 0 to ${value === "rank" ? top : "the largest importance"}.${without ? ` ${plural(without, "run")} without ranks ${without === 1 ? "is" : "are"} not shown.` : ""}`}
      actions={
        <SegmentedControl
          size="xs"
          aria-label="What the colour shows"
          value={value}
          onChange={(next) => setValue(next as Colouring)}
          data={[
            { value: "rank", label: "Rank" },
            { value: "mean", label: "Importance" },
          ]}
        />
      }
    >
      <SimpleGrid cols={{ base: 1, md: 2, xl: present.length > 2 ? 3 : 2 }} spacing="lg">
        {ranked.map((run, index) => {
          const one = shown[index];
          return (
            <div key={run.id} data-testid="compare-heatmap" data-run={run.id}>
              <Group justify="space-between" wrap="nowrap" gap="xs">
                <Text size="sm" fw={600} className="clip" title={run.name}>
                  {run.name}
                </Text>
                {one ? <SaveHeatmap shown={one} value={value} top={top} /> : null}
              </Group>
              <Text size="xs" c="dimmed" className="numbers" mb={4}>
                {one ? `step ${one.frame.step} · ${one.frame.live} live` : "\u00a0"}
              </Text>
              {one ? (
                <OneHeatmap shown={one} value={value} top={top} />
              ) : frames[index]?.isPending ? (
                <Skeleton height={300} />
              ) : (
                <Text size="sm" c="dimmed">
                  No snapshot yet.
                </Text>
              )}
            </div>
          );
        })}
      </SimpleGrid>
      {every.length > fewHeatmaps && (
        <Button variant="default" size="xs" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show fewer" : `Show all ${every.length}`}
        </Button>
      )}
    </Panel>
  );
}

interface HeatmapProps {
  shown: Shown;
  value: Colouring;
  top: number;
}

const figureOf = ({ shown, value, top }: HeatmapProps, look: Look) =>
  heatmapFigure({ modules: shown.ranks.modules, view: shown.view, colouring: value, top, look });

const heightOf = ({ ranks }: Shown) => Math.round(heatmapHeight(moduleGrid(ranks.modules)) * 0.85);

function SaveHeatmap(props: HeatmapProps) {
  const { run, frame, ranks, view } = props.shown;
  return (
    <ExportMenu
      label={`Export heatmap of ${run.name}`}
      file={`${run.name} ${props.value} step ${frame.step}`}
      title={`${run.name} · ${meanings[props.value].title} · step ${frame.step}`}
      height={heightOf(props.shown)}
      figureOf={(look) => figureOf(props, look)}
      // A single snapshot shows no changes.
      rows={() =>
        rankRows(ranks.modules, view, frame.step).map(
          ({ start_rank, change_since_start, change_by_last_pruning, ...row }) => row,
        )
      }
    />
  );
}

function OneHeatmap({ shown, value, top }: HeatmapProps) {
  const look = useLook();
  const { run, frame } = shown;
  const figure = useMemo(() => figureOf({ shown, value, top }, look), [shown, value, top, look]);
  return (
    <Plot
      figure={figure}
      height={heightOf(shown)}
      label={`${meanings[value].title} of ${run.name} at step ${frame.step}: ${plural(frame.live, "live component")}.`}
    />
  );
}

/** A single snapshot shows no changes; every module started at the full width. */
function viewOf(levels: Snapshot, width: number): RankView {
  return { levels, start: new Uint16Array(levels.ranks.length).fill(width), before: levels.ranks };
}
