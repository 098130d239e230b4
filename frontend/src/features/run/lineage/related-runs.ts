/** Runs whose curves belong beside a run's: what it was forked from, up to the fork, and what was forked from it. */
import type { Relative } from "@/api/types";

export interface RelatedRun {
  run: Relative;
  /** Its last step that is this run's past too; null for a fork of this run, which is shown whole. */
  upTo: number | null;
}

/** More children are not drawn: the newest are. */
export const mostChildren = 6;

/** Ancestors from the nearest on, then the newest children. */
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

/** Where this run was forked off, and where others were forked off from it; one mark a step. */
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
