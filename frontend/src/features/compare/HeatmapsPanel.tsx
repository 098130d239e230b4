import { SegmentedControl, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { framesOf, type ModuleFrame, type ModuleState, moduleStates } from "@/api/packed";
import { ranksQuery } from "@/api/queries";
import type { RankHistory, RunSummary } from "@/api/types";
import { type HeatmapValue, heatmapFigure, heatmapHeight } from "@/charts/heatmap";
import { useLook } from "@/charts/look";
import { moduleGrid } from "@/charts/module-grid";
import { Plot } from "@/charts/Plot";
import { Panel } from "@/components/Panel";

interface Shown {
  run: RunSummary;
  ranks: RankHistory;
  frame: ModuleFrame;
  states: ModuleState[];
}

/** The newest ranks of every run side by side, under one scale. */
export function HeatmapsPanel({ runs }: { runs: RunSummary[] }) {
  const [value, setValue] = useState<HeatmapValue>("rank");
  const ranked = runs.filter((run) => run.method !== "full");
  const without = runs.length - ranked.length;
  const frames = useQueries({
    queries: ranked.map((run) => ({
      ...ranksQuery(run.id, 1),
      refetchInterval: run.ended_at === null ? 3000 : (false as const),
    })),
    combine: (results) => results.map((result) => ({ data: result.data, isPending: result.isPending })),
  });
  const shown = useMemo(
    () =>
      frames.map(({ data }, index): Shown | null => {
        const frame = data && framesOf(data).at(-1);
        const run = ranked[index];
        return data && frame && run ? { run, ranks: data, frame, states: moduleStates(frame) } : null;
      }),
    [frames, ranked],
  );
  const present = shown.filter((one) => one !== null);
  const top =
    value === "rank"
      ? Math.max(1, ...present.map((one) => one.ranks.width))
      : Math.max(
          0,
          ...present
            .flatMap((one) => one.states.map((state) => state.importance ?? 0))
            .filter(Number.isFinite),
        );

  return (
    <Panel
      title="Ranks side by side"
      note={`At each run's last snapshot, colours from 0 to ${value === "rank" ? top : "the largest importance"}.${without ? ` ${without === 1 ? "One run trains" : `${without} runs train`} every weight and has no ranks.` : ""}`}
      actions={
        <SegmentedControl
          size="xs"
          aria-label="What the colour shows"
          value={value}
          onChange={(next) => setValue(next as HeatmapValue)}
          data={[
            { value: "rank", label: "Rank" },
            { value: "importance", label: "Importance" },
          ]}
        />
      }
    >
      <SimpleGrid cols={{ base: 1, md: 2, xl: present.length > 2 ? 3 : 2 }} spacing="lg">
        {ranked.map((run, index) => {
          const one = shown[index];
          return (
            <div key={run.id} data-testid="compare-heatmap" data-run={run.id}>
              <Text size="sm" fw={600} className="clip" title={run.name}>
                {run.name}
              </Text>
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
    </Panel>
  );
}

function OneHeatmap({ shown, value, top }: { shown: Shown; value: HeatmapValue; top: number }) {
  const look = useLook();
  const { ranks, states, run, frame } = shown;
  const figure = useMemo(
    () => heatmapFigure({ modules: ranks.modules, states, value, top, look }),
    [ranks.modules, states, value, top, look],
  );
  const rows = moduleGrid(ranks.modules).rows.length;
  return (
    <Plot
      figure={figure}
      height={Math.round(heatmapHeight(rows) * 0.85)}
      label={`${value} of each module of ${run.name} at step ${frame.step}: ${frame.live} live components.`}
    />
  );
}
