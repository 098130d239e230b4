import type { Snapshot } from "@/api/snapshots";
import type { RankView } from "@/charts/heatmap/rank-values";
import { previousPruning } from "@/features/run/playback/snapshot-index";

/** A snapshot with the two that it is compared to: the first, and the pruning before the last one. */
export function rankViewAt(snapshots: readonly Snapshot[], index: number): RankView | null {
  const levels = snapshots[index];
  if (!levels) return null;
  return {
    levels,
    start: snapshots[0]?.ranks ?? levels.ranks,
    before: snapshots[previousPruning(snapshots, index)]?.ranks ?? levels.ranks,
  };
}
