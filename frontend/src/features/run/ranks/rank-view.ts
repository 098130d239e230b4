import type { Snapshot } from "@/api/snapshots";
import type { RankView } from "@/charts/heatmap/rank-values";
import { previousPruning } from "@/features/run/playback/snapshot-index";

/** A snapshot with the ranks that it is compared to: of the first snapshot, and of the previous pruning. */
export function rankViewAt(snapshots: readonly Snapshot[], index: number): RankView | null {
  const levels = snapshots[index];
  if (!levels) return null;
  return {
    levels,
    start: snapshots[0]?.ranks ?? levels.ranks,
    before: snapshots[previousPruning(snapshots, index)]?.ranks ?? levels.ranks,
  };
}
