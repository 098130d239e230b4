/** What the page knows of one run: history first, then events. Pure: the same events give the same state. */
import { frameOfEvent, framesOf, type ModuleFrame } from "@/api/packed";
import type {
  LedgerLine,
  Module,
  Num,
  Phase,
  RankHistory,
  RunDetail,
  RunEvent,
  RunStatus,
  SeriesList,
} from "@/api/types";
import { isTimeline, type TimelineEvent } from "./timeline";

export interface Points {
  steps: number[];
  values: Num[];
  /** Points that the run has; more than are here when the history came reduced. */
  total: number;
  isReduced: boolean;
}

export interface LiveRun {
  lastSeq: number;
  status: RunStatus;
  phase: Phase | null;
  step: number;
  totalSteps: number | null;
  attempt: number;
  modules: Module[];
  width: number;
  frames: ModuleFrame[];
  totalFrames: number;
  series: Record<string, Points>;
  /** Prunings since the page was opened; the ledger is read again when it grows. */
  prunings: number;
  /** Status changes, warnings, checkpoints and results since the page was opened. */
  timeline: TimelineEvent[];
  /** Up to which event each part came with the history; the stream repeats some of them. */
  known: { run: number; ranks: number; series: number };
}

export interface History {
  run: RunDetail;
  ranks: RankHistory;
  series: SeriesList;
}

export type LiveAction =
  | { type: "history"; history: History }
  | { type: "events"; events: readonly RunEvent[] };

/** More snapshots than this are thinned while watching; those of prunings stay. */
export const mostFrames = 800;

export function fromHistory({ run, ranks, series }: History): LiveRun {
  return {
    lastSeq: Math.min(run.last_seq, ranks.last_seq, series.last_seq),
    status: run.status,
    phase: run.phase,
    step: run.step,
    totalSteps: run.total_steps,
    attempt: run.attempt,
    modules: ranks.modules.length ? ranks.modules : run.modules,
    width: ranks.width || (run.width ?? 0),
    frames: framesOf(ranks),
    totalFrames: ranks.total_frames,
    series: Object.fromEntries(
      series.items.map((one) => [
        one.name,
        { steps: one.steps, values: one.values, total: one.total_points, isReduced: one.is_reduced },
      ]),
    ),
    prunings: 0,
    timeline: [],
    known: { run: run.last_seq, ranks: ranks.last_seq, series: series.last_seq },
  };
}

export function reduceLive(state: LiveRun | null, action: LiveAction): LiveRun | null {
  if (action.type === "history") return fromHistory(action.history);
  return state && applyEvents(state, action.events);
}

/** The state after these events; events that the state has already seen change nothing. */
export function applyEvents(state: LiveRun, events: readonly RunEvent[]): LiveRun {
  const fresh = events.filter((event) => event.seq > state.lastSeq);
  if (fresh.length === 0) return state;
  // One copy a batch, changed in place while it is still ours alone.
  const next: LiveRun = {
    ...state,
    frames: [...state.frames],
    series: Object.fromEntries(Object.entries(state.series).map(([name, points]) => [name, copyOf(points)])),
    timeline: [...state.timeline],
  };
  for (const event of fresh) {
    if (event.seq <= next.lastSeq) continue;
    next.lastSeq = event.seq;
    if (isTimeline(event)) next.timeline.push(event);
    take(next, event);
  }
  if (next.frames.length > mostFrames) next.frames = thinFrames(next.frames);
  return next;
}

const copyOf = (points: Points): Points => ({
  ...points,
  steps: [...points.steps],
  values: [...points.values],
});

function take(run: LiveRun, event: RunEvent): void {
  const isNews = event.seq > run.known.run;
  switch (event.kind) {
    case "status":
      if (isNews) {
        run.status = event.status;
        run.attempt = event.attempt;
      }
      if (event.status === "starting" && event.step !== undefined) cutAt(run, event.step, event.seq);
      return;
    case "phase":
      if (isNews) run.phase = event.phase;
      return;
    case "metrics":
      if (isNews) run.step = event.step;
      if (event.seq > run.known.series) {
        for (const [name, value] of Object.entries(event.values)) addPoint(run, name, event.step, value);
      }
      return;
    case "modules":
      run.modules = event.modules;
      run.width = event.width;
      run.totalSteps = event.total_steps;
      return;
    case "ranks":
      if (isNews) run.step = event.step;
      if (event.seq > run.known.ranks) addFrame(run, frameOfEvent(event));
      return;
    case "prune":
      run.prunings += 1;
      return;
    default:
      return;
  }
}

/** A new attempt goes on from `step`: what older attempts recorded beyond it is replaced by what comes. */
function cutAt(run: LiveRun, step: number, seq: number): void {
  if (seq > run.known.run) run.step = step;
  for (const points of seq > run.known.series ? Object.values(run.series) : []) {
    const kept = points.steps.findIndex((at) => at > step);
    if (kept === -1) continue;
    points.total -= points.steps.length - kept;
    points.steps.length = kept;
    points.values.length = kept;
  }
  if (seq > run.known.ranks) {
    const kept = run.frames.filter((frame) => frame.step <= step);
    run.totalFrames -= run.frames.length - kept.length;
    run.frames = kept;
  }
}

function addPoint(run: LiveRun, name: string, step: number, value: Num): void {
  let points = run.series[name];
  if (!points) {
    points = { steps: [], values: [], total: 0, isReduced: false };
    run.series[name] = points;
  }
  points.steps.push(step);
  points.values.push(value);
  points.total += 1;
}

/** A resumed attempt repeats the snapshot of the step that it starts from: the newer one stands. */
function addFrame(run: LiveRun, frame: ModuleFrame): void {
  if (run.frames.at(-1)?.step === frame.step) run.frames.pop();
  else run.totalFrames += 1;
  run.frames.push(frame);
}

/** Every second snapshot that is neither a pruning nor one of the newest hundred. */
export function thinFrames(frames: readonly ModuleFrame[]): ModuleFrame[] {
  return frames.filter(
    (frame, index) => index === 0 || frame.pruning || index >= frames.length - 100 || index % 2 === 1,
  );
}

/** Prunings in sentences. */
export function ledgerSentence(line: LedgerLine): string {
  const score = typeof line.score === "number" ? line.score.toPrecision(3) : line.score;
  const threshold = typeof line.threshold === "number" ? line.threshold.toPrecision(3) : line.threshold;
  const verb = line.change === "pruned" ? "was pruned" : "came back";
  return `Component ${line.component} of ${line.module_name} ${verb} at step ${line.step}: score ${score}, rank ${line.order} of ${line.total}, threshold ${threshold}, budget ${line.budget}.`;
}
