import { Skeleton, Text, VisuallyHidden } from "@mantine/core";
import { type KeyboardEvent, useMemo, useState } from "react";
import type { MethodInfo, RunDetail, RunStatus } from "@/api/types";
import { heatmapFigure, mostLabelledCells } from "@/charts/heatmap/heatmap";
import { heatmapHeight } from "@/charts/heatmap/heatmap-layout";
import { moduleGrid } from "@/charts/heatmap/module-grid";
import { rankRows } from "@/charts/heatmap/rank-rows";
import { type Colouring, colourValue, meanings, valueText } from "@/charts/heatmap/rank-values";
import { type Figure, titled } from "@/charts/plot/figure";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { useMethod } from "@/components/runs/methods";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import type { LiveRun } from "@/features/run/live/live-run";
import { SnapshotSummary } from "@/features/run/playback/SnapshotSummary";
import { StepPlayer } from "@/features/run/playback/StepPlayer";
import { steppedTo } from "@/features/run/playback/step-keys";
import { usePlayback } from "@/features/run/playback/use-playback";
import { moduleLabel } from "./ledger-text";
import { RankControls } from "./RankControls";
import { RankExport } from "./RankExport";
import { RankTable } from "./RankTable";
import { rankViewAt } from "./rank-view";
import { scaleTop } from "./scale-top";
import type { RankSettings } from "./use-rank-settings";

interface RanksPanelProps {
  run: RunDetail;
  live: LiveRun;
  status: RunStatus;
  /** Index of the selected snapshot. */
  index: number;
  /** Index of the drawn snapshot: the selected one, or the previous one until it is drawn. */
  drawn: number;
  settings: RankSettings;
  onSettings: (change: Partial<RankSettings>) => void;
}

export function RanksPanel({ run, live, status, index, drawn, settings, onSettings }: RanksPanelProps) {
  const look = useLook();
  const method = useMethod(run.method);
  const [isTable, setTable] = useState(false);
  const [chosen, setChosen] = useState<number | null>(null);
  const { snapshots, modules, width } = live;
  const { colouring, order } = settings;
  const snapshot = snapshots[drawn];
  // Ordered by the newest ranks, so that cells keep their place while moving through the snapshots.
  const newest = order === "rank" ? snapshots.at(-1)?.ranks : undefined;
  const grid = useMemo(() => moduleGrid(modules, order, newest), [modules, order, newest]);
  const top = useMemo(() => scaleTop(snapshots, colouring, width), [snapshots, colouring, width]);
  const view = useMemo(() => rankViewAt(snapshots, drawn), [snapshots, drawn]);
  const selected = chosen ?? settings.module;
  const height = heatmapHeight(grid);
  const figureAt = (at: number, shown: Look): Figure => {
    const there = rankViewAt(snapshots, at);
    if (!there) return { data: [], layout: {} };
    const drawnThere = heatmapFigure({ modules, grid, view: there, colouring, top, look: shown });
    return titled(drawnThere, titleOf(run.name, meanings[colouring].title, snapshots[at]), shown);
  };
  const figure = useMemo(
    () => view && heatmapFigure({ modules, grid, view, colouring, top, look, selected }),
    [modules, grid, view, colouring, top, look, selected],
  );

  const last = snapshots.length - 1;
  const show = (to: number) =>
    onSettings({ at: to >= last ? null : (snapshots[Math.max(0, to)]?.step ?? null) });
  const playback = usePlayback({ index, last, onShow: show });
  const go = (to: number) => {
    playback.stop();
    show(to);
  };
  const open = (module: number) => {
    setChosen(module);
    onSettings({ module });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const to = steppedTo(event, snapshots, index);
    if (to !== null) go(to);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp")
      setChosen(nextModule(grid.reading, selected, event.key));
    else if (event.key === "Enter" && selected !== null) open(selected);
    else return;
    event.preventDefault();
  };
  const selectedModule = selected === null ? undefined : modules[selected];

  return (
    <Panel
      title={meanings[colouring].title}
      note={note(method, colouring, modules.length)}
      actions={
        snapshot && view ? (
          <RankExport
            name={`${run.name} ${colouring}`}
            snapshots={snapshots}
            index={drawn}
            height={height}
            figureAt={figureAt}
            rows={() => rankRows(modules, view, snapshot.step)}
            about={() => ({
              run: run.id,
              name: run.name,
              step: snapshot.step,
              live: snapshot.live,
              budget: snapshot.budget,
              width,
            })}
          />
        ) : undefined
      }
    >
      <RankControls
        colouring={colouring}
        order={order}
        onChange={onSettings}
        isTable={isTable}
        onTable={setTable}
      />
      {snapshot && view && figure ? (
        <>
          <StepPlayer
            snapshots={snapshots}
            index={index}
            isFollowing={settings.at === null}
            playback={playback}
            onGo={go}
            onFollow={() => {
              playback.stop();
              onSettings({ at: null });
            }}
          />
          {/* biome-ignore lint/a11y/useSemanticElements: no element fits a chart with keyboard control */}
          <div
            role="group"
            aria-label="Heatmap of layers and modules; left and right move between prunings, up and down choose a module, Enter opens it"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys step through the snapshots
            tabIndex={0}
            onKeyDown={onKeyDown}
            data-testid="rank-heatmap"
            data-step={snapshot.step}
            data-live={snapshot.live}
            className="heatmap"
          >
            {isTable ? (
              <RankTable
                grid={grid}
                modules={modules}
                view={view}
                colouring={colouring}
                step={snapshot.step}
                corner={order === "kind" ? "Kind" : "Layer"}
                onOpen={open}
              />
            ) : (
              <Plot
                figure={figure}
                height={height}
                label={`${meanings[colouring].title}, ${plural(modules.length, "module")} at step ${snapshot.step}: ${plural(snapshot.live, "live component")}. The table shows the numbers.`}
                onClick={({ customdata }) => typeof customdata === "number" && open(customdata)}
              />
            )}
          </div>
          <VisuallyHidden role="status">
            {selectedModule && selected !== null
              ? `${moduleLabel(selectedModule, modules)}: ${valueText(colourValue(view, colouring, selected), colouring)}, rank ${view.levels.ranks[selected]}`
              : ""}
          </VisuallyHidden>
          <SnapshotSummary snapshot={snapshot} kept={snapshots.length} total={live.totalSnapshots} />
        </>
      ) : (
        <WaitingForRanks status={status} height={320} />
      )}
    </Panel>
  );
}

/** The next or previous module in reading order; the first or last if none is chosen. */
function nextModule(
  reading: readonly number[],
  selected: number | null,
  key: "ArrowDown" | "ArrowUp",
): number | null {
  const at = selected === null ? -1 : reading.indexOf(selected);
  const to =
    key === "ArrowDown"
      ? Math.min(reading.length - 1, at + 1)
      : at < 0
        ? reading.length - 1
        : Math.max(0, at - 1);
  return reading[to] ?? null;
}

function titleOf(name: string, title: string, snapshot: { step: number; live: number } | undefined): string {
  return `${name} · ${title} · step ${count(snapshot?.step)}, ${count(snapshot?.live)} live`;
}

function note(method: MethodInfo, colouring: Colouring, modules: number): string {
  const parts = [meanings[colouring].note];
  if (meanings[colouring].isScore) parts.push("The highest 2% of all scores share the last colour.");
  if (!method.prunes) parts.push(method.rank_note);
  parts.push("× marks rank 0. Click a module to see its components.");
  if (modules > mostLabelledCells) parts.push("Hover over a cell to see its numbers; + marks a gain.");
  return parts.join(" ");
}

function WaitingForRanks({ status, height }: { status: RunStatus; height: number }) {
  const isOver = status === "done" || status === "failed" || status === "stopped";
  const text = isOver
    ? "The run ended before its first snapshot."
    : status === "queued" || status === "interrupted"
      ? "Ranks appear once a worker has started the run."
      : "Ranks appear once the model is loaded.";
  return (
    <div style={{ position: "relative", height }}>
      <Skeleton height={height} animate={!isOver} visible />
      <Text className="over-skeleton" size="sm">
        {text}
      </Text>
    </div>
  );
}
