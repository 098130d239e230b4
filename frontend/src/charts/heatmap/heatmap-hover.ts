import type { Module } from "@/api/types";
import { plainText } from "@/charts/plot/plain-text";
import { importanceText, type RankView, signed } from "./rank-values";

/** The text shown when the pointer is over a cell. */
export function heatmapHover(module: Module, view: RankView, index: number): string {
  const { ranks, mean, max } = view.levels;
  const rank = ranks[index] ?? 0;
  const start = view.start[index] ?? rank;
  const importance = rank
    ? `importance mean ${importanceText(mean[index] ?? 0)}, max ${importanceText(max[index] ?? 0)}`
    : "no live components";
  const changes = `${signed(rank - start)} since the start, ${signed(rank - (view.before[index] ?? rank))} in the last pruning`;
  return `<b>${plainText(module.name)}</b><br>rank ${rank} of ${start}<br>${importance}<br>${changes}<br>${module.out_features} × ${module.in_features}`;
}
