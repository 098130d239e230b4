/** Rank snapshots as the page keeps them: a few numbers per module, without the components. */
import { type ModuleLevels, moduleLevels, unpackFloat16, unpackUint16 } from "./packed";
import type { Num, RankHistory, RanksEvent } from "./types";

export interface Snapshot extends ModuleLevels {
  step: number;
  attempt: number;
  budget: number;
  live: number;
  threshold: Num | null;
  pruning: boolean;
  final: boolean;
}

/** The snapshots of the columnar history. Their arrays are views of three large ones. */
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

/** A live event as a snapshot, without its packed components. */
export function snapshotOf(event: RanksEvent): Snapshot {
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
