import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Num, Relative } from "@/api/types";
import { treeQuery } from "@/features/run/lineage/queries";
import { forkMarks, relatedRuns } from "@/features/run/lineage/related-runs";
import { relatedSeriesQuery } from "./queries";

/** A metric of a related run. */
export interface RelatedCurve {
  name: string;
  steps: readonly number[];
  values: readonly Num[];
  isAncestor: boolean;
  /** Index among the ancestors or among the children, for its colour. */
  order: number;
}

const noRuns: Relative[] = [];

/** Fork marks of a run and, if `isOn`, the curves of its ancestors and children by metric. */
export function useRelatedCurves(id: string, { beta, isOn }: { beta: number; isOn: boolean }) {
  const tree = useQuery(treeQuery(id));
  const runs = tree.data ?? noRuns;
  const related = useMemo(() => relatedRuns(runs, id), [runs, id]);
  const read = useQueries({
    queries: related.map(({ run, upTo }) => ({
      ...relatedSeriesQuery(run.id, { smooth: beta, upTo, status: run.status }),
      enabled: isOn,
    })),
    combine: (results) => results.map((one) => one.data),
  });
  const curves = useMemo(() => {
    const found = new Map<string, RelatedCurve[]>();
    if (!isOn) return found;
    related.forEach(({ run, upTo }, index) => {
      const isAncestor = upTo !== null;
      const order = related.slice(0, index).filter((one) => (one.upTo !== null) === isAncestor).length;
      for (const one of read[index]?.items ?? []) {
        const values = one.smoothed ?? one.values;
        const name = isAncestor ? `before the fork: ${run.name}` : run.name;
        found.set(one.name, [
          ...(found.get(one.name) ?? []),
          { name, steps: one.steps, values, isAncestor, order },
        ]);
      }
    });
    return found;
  }, [isOn, related, read]);
  return { hasRelated: related.length > 0, marks: useMemo(() => forkMarks(runs, id), [runs, id]), curves };
}
