/** The heatmap's numbers as a table for export. */
import type { Module } from "@/api/types";
import { colourValue, type RankView } from "./rank-values";

export interface RankRow {
  name: string;
  stack: string;
  layer: number | null;
  kind: string;
  step: number;
  rank: number;
  start_rank: number;
  importance_mean: number | null;
  importance_max: number | null;
  importance_sum: number | null;
  change_since_start: number;
  change_by_last_pruning: number;
}

export const rankRows = (modules: readonly Module[], view: RankView, step: number): RankRow[] =>
  modules.map((module, index) => {
    const rank = view.levels.ranks[index] ?? 0;
    return {
      name: module.name,
      stack: module.stack,
      layer: module.layer,
      kind: module.kind,
      step,
      rank,
      start_rank: view.start[index] ?? rank,
      importance_mean: colourValue(view, "mean", index),
      importance_max: colourValue(view, "max", index),
      importance_sum: colourValue(view, "sum", index),
      change_since_start: colourValue(view, "change", index) ?? 0,
      change_by_last_pruning: colourValue(view, "difference", index) ?? 0,
    };
  });
