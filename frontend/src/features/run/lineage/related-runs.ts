/** Runs whose curves are shown with a run's: its ancestors up to the fork, and its forks. */
import type { Relative } from "@/api/types";

export interface RelatedRun {
  run: Relative;
  /** The last step that is also part of this run; null for a fork of this run, which is shown in full. */
  upTo: number | null;
}

/** Only this many children are drawn, the newest ones. */
export const mostChildren = 6;

/** Ancestors, the nearest first, then the newest children. */
export function relatedRuns(runs: readonly Relative[], id: string): RelatedRun[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const ancestors: RelatedRun[] = [];
  let child = byId.get(id);
  let upTo = Number.POSITIVE_INFINITY;
  while (child && child.parent_id !== null && child.parent_step !== null) {
    const parent = byId.get(child.parent_id);
    if (!parent || ancestors.some((one) => one.run === parent)) break;
    upTo = Math.min(upTo, child.parent_step);
    ancestors.push({ run: parent, upTo });
    child = parent;
  }
  const children = runs.filter((run) => run.parent_id === id);
  return [...ancestors, ...children.slice(-mostChildren).map((run) => ({ run, upTo: null }))];
}

export interface ForkMark {
  step: number;
  text: string;
}

/** Where this run was forked, and where others were forked from it; one mark per step. */
export function forkMarks(runs: readonly Relative[], id: string): ForkMark[] {
  const own = runs.find((run) => run.id === id)?.parent_step ?? null;
  const counts = new Map<number, number>();
  for (const run of runs) {
    if (run.parent_id === id && run.parent_step !== null)
      counts.set(run.parent_step, (counts.get(run.parent_step) ?? 0) + 1);
  }
  return [
    ...(own === null ? [] : [{ step: own, text: "forked here" }]),
    ...[...counts].map(([step, count]) => ({ step, text: count === 1 ? "fork" : `${count} forks` })),
  ];
}
