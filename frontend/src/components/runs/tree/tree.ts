/** A tree of runs as lines: each run below its parent, children in their order of creation. */
import type { Relative } from "@/api/types";

export interface TreeLine {
  run: Relative;
  depth: number;
}

export function treeLines(runs: readonly Relative[]): TreeLine[] {
  const known = new Set(runs.map((run) => run.id));
  const children = (parent: string | null) =>
    runs.filter((run) =>
      parent === null ? run.parent_id === null || !known.has(run.parent_id) : run.parent_id === parent,
    );
  const below = (parent: string | null, depth: number): TreeLine[] =>
    children(parent).flatMap((run) => [{ run, depth }, ...below(run.id, depth + 1)]);
  return below(null, 0);
}
