import { Group, SegmentedControl, Skeleton, Switch, Text } from "@mantine/core";
import { type KeyboardEvent, useMemo, useState } from "react";
import { type ModuleState, moduleStates } from "@/api/packed";
import type { RunDetail, RunStatus } from "@/api/types";
import { type HeatmapValue, heatmapFigure, heatmapHeight, mostLabelledCells } from "@/charts/heatmap";
import { useLook } from "@/charts/look";
import { moduleGrid } from "@/charts/module-grid";
import { Plot } from "@/charts/Plot";
import { count } from "@/components/format";
import { methodName, prunes } from "@/components/methods";
import { Panel } from "@/components/Panel";
import type { LiveRun } from "./live-run";
import { RankTable } from "./RankTable";
import { StepPlayer } from "./StepPlayer";

interface RanksPanelProps {
  run: RunDetail;
  live: LiveRun;
  status: RunStatus;
  /** Snapshot that is shown. */
  index: number;
  states: ModuleState[];
  at: number | null;
  onAt: (step: number | null) => void;
}

export function RanksPanel({ run, live, status, index, states, at, onAt }: RanksPanelProps) {
  const look = useLook();
  const [value, setValue] = useState<HeatmapValue>("rank");
  const [isTable, setTable] = useState(false);
  const { frames, modules, width } = live;
  const frame = frames[index];
  const grid = useMemo(() => moduleGrid(modules), [modules]);
  const highest = useMemo(
    () => (value === "importance" ? highestImportance(live) : width),
    [value, live, width],
  );
  const figure = useMemo(
    () => heatmapFigure({ modules, states, value, top: highest, look }),
    [modules, states, value, highest, look],
  );
  const go = (to: number) => {
    const last = frames.length - 1;
    onAt(to >= last ? null : (frames[Math.max(0, to)]?.step ?? null));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = {
      ArrowLeft: index - 1,
      ArrowRight: index + 1,
      Home: 0,
      End: frames.length,
    };
    const to = moves[event.key];
    if (to === undefined || event.target !== event.currentTarget) return;
    event.preventDefault();
    go(to);
  };

  return (
    <Panel
      title={value === "rank" ? "Rank of each module" : "Importance of each module"}
      note={note(run, value, modules.length)}
      actions={
        <Group gap="md">
          <Switch
            size="xs"
            label="Table"
            checked={isTable}
            onChange={(event) => setTable(event.currentTarget.checked)}
          />
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
        </Group>
      }
    >
      {frame ? (
        <>
          {/* biome-ignore lint/a11y/useSemanticElements: a drawing with keys of its own has no element */}
          <div
            role="group"
            aria-label="Heatmap of layers and modules; arrow keys step through time"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys step through the snapshots
            tabIndex={0}
            onKeyDown={onKeyDown}
            data-testid="rank-heatmap"
            data-step={frame.step}
            data-live={frame.live}
            className="heatmap"
          >
            {isTable ? (
              <RankTable grid={grid} modules={modules} states={states} value={value} step={frame.step} />
            ) : (
              <Plot
                figure={figure}
                height={heatmapHeight(grid.rows.length)}
                label={`${value} of ${modules.length} modules at step ${frame.step}: ${frame.live} live components. The table shows the numbers.`}
              />
            )}
          </div>
          <StepPlayer
            frames={frames}
            index={index}
            isFollowing={at === null}
            onGo={go}
            onFollow={() => onAt(null)}
          />
          <FrameLine live={live} index={index} states={states} />
        </>
      ) : (
        <WaitingForRanks status={status} height={heatmapHeight(6)} />
      )}
    </Panel>
  );
}

function note(run: RunDetail, value: HeatmapValue, modules: number): string {
  const parts =
    value === "importance"
      ? ["Mean smoothed score of a module's live components."]
      : !prunes(run.method)
        ? [`${methodName(run.method)}: every module keeps its rank.`]
        : ["Live components; × is a module without any."];
  if (modules > mostLabelledCells) parts.push("Point at a cell for its numbers.");
  return parts.join(" ");
}

/** One line of numbers about the snapshot; of constant height. */
function FrameLine({ live, index, states }: { live: LiveRun; index: number; states: ModuleState[] }) {
  const frame = live.frames[index];
  if (!frame) return null;
  const ranks = states.map((state) => state.rank);
  const mean = frame.live / Math.max(1, ranks.length);
  const parts = [
    `step ${count(frame.step)}`,
    `${count(frame.live)} live, budget ${count(frame.budget)}`,
    `rank ${Math.min(...ranks)} to ${Math.max(...ranks)}, mean ${mean.toFixed(2)}`,
    frame.final ? "mask final" : frame.pruning ? "pruned at this step" : "",
  ];
  return (
    <Text size="xs" c="dimmed" className="numbers" mt={4}>
      {parts.filter(Boolean).join(" · ")}
      {live.frames.length < live.totalFrames
        ? ` · ${count(live.frames.length)} of ${count(live.totalFrames)} snapshots, every pruning kept`
        : ""}
    </Text>
  );
}

function WaitingForRanks({ status, height }: { status: RunStatus; height: number }) {
  const isOver = status === "done" || status === "failed" || status === "stopped";
  const words = isOver
    ? "The run ended before its first snapshot of the ranks."
    : status === "queued" || status === "interrupted"
      ? "Ranks appear when a worker has taken the run."
      : "Ranks appear with the first snapshot, once the model is loaded.";
  return (
    <div style={{ position: "relative", height }}>
      <Skeleton height={height} animate={!isOver} visible />
      <Text className="over-skeleton" size="sm">
        {words}
      </Text>
    </div>
  );
}

/** The largest importance in any of some twenty snapshots and the newest: the scale's end, which moves rarely. */
function highestImportance({ frames }: LiveRun): number {
  const stride = Math.max(1, Math.floor(frames.length / 20));
  let highest = 0;
  frames.forEach((frame, index) => {
    if (index % stride !== 0 && index !== frames.length - 1) return;
    for (const state of moduleStates(frame)) {
      if (state.importance !== null && Number.isFinite(state.importance))
        highest = Math.max(highest, state.importance);
    }
  });
  // Up to the next of 1, 1.5, 2, 3, 5, 7 times a power of ten: small growth leaves the colours as they are.
  const power = 10 ** Math.floor(Math.log10(highest || 1));
  const ends = [1, 1.5, 2, 3, 5, 7, 10];
  return (ends.find((end) => end * power >= highest) ?? 10) * power;
}
