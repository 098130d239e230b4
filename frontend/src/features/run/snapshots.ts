/** Rank snapshots as the page keeps them: a few numbers a module, never the components themselves. */
import { type ModuleLevels, moduleLevels, unpackFloat16, unpackUint16 } from "@/api/packed";
import type { Num, RankHistory, RunEvent } from "@/api/types";

export interface Snapshot extends ModuleLevels {
  step: number;
  attempt: number;
  budget: number;
  live: number;
  threshold: Num | null;
  pruning: boolean;
  final: boolean;
}

/** The snapshots of the columnar history. Their arrays are windows into three large ones. */
export function snapshotsOf(history: RankHistory): Snapshot[] {
  const count = history.modules.length;
  const cells = history.steps.length * count;
  const ranks = unpackUint16(history.ranks, cells);
  const mean = unpackFloat16(history.importance_mean, cells);
  const max = unpackFloat16(history.importance_max, cells);
  return history.steps.map((step, index) => {
    const from = index * count;
    return {
      step,
      attempt: history.attempts[index] ?? 1,
      budget: history.budget[index] ?? 0,
      live: history.live[index] ?? 0,
      threshold: history.threshold[index] ?? null,
      pruning: history.pruning[index] ?? false,
      final: history.final[index] ?? false,
      ranks: ranks.subarray(from, from + count),
      mean: mean.subarray(from, from + count),
      max: max.subarray(from, from + count),
    };
  });
}

/** A live event as a snapshot; its packed components are let go. */
export function snapshotOf(event: Extract<RunEvent, { kind: "ranks" }>): Snapshot {
  return {
    step: event.step,
    attempt: event.attempt,
    budget: event.budget,
    live: event.live,
    threshold: event.threshold ?? null,
    pruning: event.pruning ?? false,
    final: event.final ?? false,
    ...moduleLevels(event, event.modules, event.width),
  };
}

/** More snapshots than this are thinned while watching. */
export const mostSnapshots = 1000;
const newestKept = 100;

/**
 * At most about 600 snapshots: the first, the newest hundred, at most 300 prunings, and the others evenly over the steps.
 *
 * Done again and again it stays even, because what is kept depends on steps and not on places in the list.
 */
export function thinSnapshots<T extends { step: number; pruning: boolean }>(snapshots: readonly T[]): T[] {
  const older = snapshots.slice(0, Math.max(1, snapshots.length - newestKept));
  const prunings = older.filter((one) => one.pruning);
  const kept = new Set<T>([
    ...older.slice(0, 1),
    ...evenly(prunings, 300),
    ...evenly(
      older.filter((one) => !one.pruning),
      Math.max(100, 400 - prunings.length),
    ),
  ]);
  return [...older.filter((one) => kept.has(one)), ...snapshots.slice(older.length)];
}

/** At most one of each of `most` equal stretches of steps, the first in it; all when there are no more than that. */
function evenly<T extends { step: number }>(snapshots: readonly T[], most: number): T[] {
  if (snapshots.length <= most) return [...snapshots];
  const from = snapshots[0]?.step ?? 0;
  const stretch = ((snapshots.at(-1)?.step ?? 0) - from + 1) / most;
  let last = -1;
  return snapshots.filter((one) => {
    const place = Math.floor((one.step - from) / stretch);
    if (place === last) return false;
    last = place;
    return true;
  });
}
