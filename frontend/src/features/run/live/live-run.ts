/** The page's state of one run: history, then events. Pure: the same events give the same state. */
import { toNumber } from "@/api/numbers";
import { type Snapshot, snapshotOf, snapshotsOf } from "@/api/snapshots";
import type {
  EventOf,
  Module,
  Phase,
  RankHistory,
  RunDetail,
  RunEvent,
  RunStatus,
  Series,
  SeriesList,
} from "@/api/types";
import { addPoint, copyPoints, cutPoints, emptyPoints, type Points } from "./points";
import { finitePoints, meanStateAfter } from "./smoothing";
import { mostSnapshots, thinSnapshots } from "./thin-snapshots";
import { isTimeline, type TimelineEvent } from "./timeline";

export interface LiveRun {
  lastSeq: number;
  status: RunStatus;
  phase: Phase | null;
  step: number;
  totalSteps: number | null;
  attempt: number;
  modules: Module[];
  width: number;
  snapshots: Snapshot[];
  totalSnapshots: number;
  series: Record<string, Points>;
  /** Prunings since the page was opened; the ledger is read again when this grows. */
  prunings: number;
  /** Status changes, warnings, checkpoints and results since the page was opened. */
  timeline: TimelineEvent[];
  /** Attempts that replaced a part of an earlier one since the history was read. */
  cuts: number;
  /** A new attempt cut curves or snapshots that are thinned here: only the server knows what is left. */
  isHistoryStale: boolean;
  /** Server time of the newest event from the stream; 0: none yet. */
  heardAt: number;
  /** Last event of each part of the history; the stream repeats some of them. */
  known: { run: number; ranks: number; series: number; smoothed: number };
}

/** The metric that the Ranks tab draws with its mean; the Curves tab smooths the others. */
export const smoothedMetric = "train_loss";
export const smoothedBeta = 0.9;

export interface History {
  run: Pick<
    RunDetail,
    "status" | "phase" | "step" | "total_steps" | "attempt" | "modules" | "width" | "last_seq"
  >;
  ranks: RankHistory;
  series: SeriesList;
  /** `smoothedMetric` alone, with its mean over the full data. */
  smoothed: SeriesList;
}

export type LiveAction =
  | { type: "history"; history: History }
  | { type: "events"; events: readonly RunEvent[] };

export function fromHistory({ run, ranks, series, smoothed }: History): LiveRun {
  return {
    lastSeq: Math.min(run.last_seq, ranks.last_seq, series.last_seq, smoothed.last_seq),
    status: run.status,
    phase: run.phase,
    step: run.step,
    totalSteps: run.total_steps,
    attempt: run.attempt,
    modules: ranks.modules.length ? ranks.modules : run.modules,
    width: ranks.width || (run.width ?? 0),
    snapshots: snapshotsOf(ranks),
    totalSnapshots: ranks.total_frames,
    series: Object.fromEntries(
      [...series.items.filter((one) => one.name !== smoothedMetric), ...smoothed.items]
        .filter((one) => one.steps.length > 0)
        .map((one) => [one.name, pointsOf(one)]),
    ),
    prunings: 0,
    timeline: [],
    cuts: 0,
    isHistoryStale: false,
    heardAt: 0,
    known: { run: run.last_seq, ranks: ranks.last_seq, series: series.last_seq, smoothed: smoothed.last_seq },
  };
}

const pointsOf = (one: Series): Points => ({
  steps: one.steps,
  values: one.values,
  total: one.total_points,
  isReduced: one.is_reduced,
  smooth: one.smoothed
    ? {
        beta: smoothedBeta,
        values: one.smoothed.map(toNumber),
        state: meanStateAfter(one.smoothed.at(-1), finitePoints(one.total_points, one.values), smoothedBeta),
      }
    : null,
});

export function reduceLive(state: LiveRun | null, action: LiveAction): LiveRun | null {
  if (action.type === "history") return fromHistory(action.history);
  return state && applyEvents(state, action.events);
}

/** The state after these events; events that the state has already seen change nothing. */
export function applyEvents(state: LiveRun, events: readonly RunEvent[]): LiveRun {
  const fresh = events.filter((event) => event.seq > state.lastSeq);
  if (fresh.length === 0) return state;
  // Copy the lists, and the series that change, once per batch; the copies may be changed in place.
  const next: LiveRun = {
    ...state,
    snapshots: [...state.snapshots],
    series: { ...state.series },
    timeline: [...state.timeline],
  };
  const mine = new Set<string>();
  for (const event of fresh) {
    if (event.seq <= next.lastSeq) continue;
    next.lastSeq = event.seq;
    next.heardAt = event.time;
    if (isTimeline(event)) next.timeline.push(event);
    take(next, event, mine);
  }
  if (next.snapshots.length > mostSnapshots) next.snapshots = thinSnapshots(next.snapshots);
  return next;
}

/** The series by that name, copied once per batch; a new one if there is none. */
function ownPoints(run: LiveRun, name: string, mine: Set<string>): Points {
  let points = run.series[name] ?? emptyPoints(name === smoothedMetric ? smoothedBeta : null);
  if (!mine.has(name)) {
    points = copyPoints(points);
    run.series[name] = points;
    mine.add(name);
  }
  return points;
}

/** Mirrors the effect of an event on the run's row on the server, so that the page matches a reload. */
function take(run: LiveRun, event: RunEvent, mine: Set<string>): void {
  const isNews = event.seq > run.known.run;
  switch (event.kind) {
    case "status":
      if (isNews) {
        run.status = event.status;
        run.attempt = event.attempt;
        if (hasNoPhase.includes(event.status)) run.phase = null;
        if (event.step !== undefined) run.step = event.step;
      }
      if (event.status === "running" && event.step !== undefined) cutAt(run, event.step, event.seq, mine);
      return;
    case "phase":
      if (isNews) run.phase = event.phase;
      return;
    case "metrics":
      if (isNews) run.step = event.step;
      addPoints(run, event, mine);
      return;
    case "modules":
      if (isNews) run.totalSteps = event.total_steps;
      if (event.seq <= run.known.ranks) return;
      run.modules = event.modules;
      run.width = event.width;
      return;
    case "ranks":
      if (isNews) run.step = event.step;
      if (event.seq > run.known.ranks) addSnapshot(run, snapshotOf(event));
      return;
    case "steer":
      if (isNews) run.step = event.step;
      return;
    case "config":
      if (isNews && event.total_steps !== undefined) run.totalSteps = event.total_steps;
      return;
    case "prune":
      run.prunings += 1;
      return;
    default:
      // Including kinds of a newer server that this page does not know.
      return;
  }
}

/** A worker starts the run, or none has it any more. */
const hasNoPhase: readonly RunStatus[] = ["starting", "interrupted", "done", "stopped", "failed"];

/** An attempt starts at `step`: it replaces what earlier ones recorded after that step. */
function cutAt(run: LiveRun, step: number, seq: number, mine: Set<string>): void {
  const isBeyond = (at: number) => at > step;
  for (const [name, points] of Object.entries(run.series)) {
    if (seq <= knownTo(run, name) || !points.steps.some(isBeyond)) continue;
    run.isHistoryStale ||= points.isReduced;
    const left = ownPoints(run, name, mine);
    cutPoints(left, step);
    // As on the server, a metric without points does not exist.
    if (left.steps.length > 0) continue;
    delete run.series[name];
    mine.delete(name);
  }
  if (seq > run.known.ranks && run.snapshots.some((one) => isBeyond(one.step))) {
    run.isHistoryStale ||= run.snapshots.length < run.totalSnapshots;
    const kept = run.snapshots.filter((one) => !isBeyond(one.step));
    run.totalSnapshots -= run.snapshots.length - kept.length;
    run.snapshots = kept;
  }
  run.cuts += 1;
}

const knownTo = (run: LiveRun, name: string): number =>
  name === smoothedMetric ? run.known.smoothed : run.known.series;

function addPoints(run: LiveRun, event: EventOf<"metrics">, mine: Set<string>): void {
  for (const [name, value] of Object.entries(event.values)) {
    if (event.seq > knownTo(run, name)) addPoint(ownPoints(run, name, mine), event.step, value);
  }
}

/** A resumed attempt repeats the snapshot of the step that it starts from: the newer one is kept. */
function addSnapshot(run: LiveRun, snapshot: Snapshot): void {
  if (run.snapshots.at(-1)?.step === snapshot.step) run.snapshots.pop();
  else run.totalSnapshots += 1;
  run.snapshots.push(snapshot);
}
