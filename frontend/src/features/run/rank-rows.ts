/** What the heatmap shows, as a table for other programs. */
import type { Module } from "@/api/types";
import { colourValue, type RankView } from "@/charts/rank-values";

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

/** RFC 4180; NaN by name, nothing for what there is not. */
export function csvOf(rows: readonly object[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = rows.map((row) =>
    names.map((name) => field((row as Record<string, unknown>)[name])).join(","),
  );
  return `${[names.join(","), ...lines].join("\r\n")}\r\n`;
}

function field(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** JSON has no NaN: it stands by name, as in the API. */
export const jsonOf = (content: unknown): string =>
  JSON.stringify(
    content,
    (_, value: unknown) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value),
    2,
  );
