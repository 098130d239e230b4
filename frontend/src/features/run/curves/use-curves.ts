import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { RunStatus } from "@/api/types";
import type { MetricTail } from "@/features/run/live/metric-tail";
import { type CurveSet, curveSet, withEvents } from "./curve-data";
import { seriesListQuery } from "./queries";

/** After this many new points the server reduces the whole curve again. */
const mostAdded = 20_000;
/** Curves are updated at most this often, since dozens of charts are redrawn. */
const growMs = 1000;

export interface CurvesQuery {
  /** Weight of the exponential mean, 0 for none. */
  beta: number;
  hasGhosts: boolean;
  /** Number of attempts that replaced part of an earlier one; the curves are read again when it changes. */
  cuts: number;
  status: RunStatus;
  /** Events of the run's stream. */
  tail: MetricTail;
}

/** All metrics of a run, smoothed by the server over the full data, and continued by the stream. */
export function useCurves(id: string, { beta, hasGhosts, cuts, status, tail }: CurvesQuery) {
  const past = useQuery(seriesListQuery(id, { smooth: beta, ghost: hasGhosts, cuts, status }));
  const [grown, setGrown] = useState<{ from: typeof past.data; set: CurveSet } | null>(null);
  const base = past.data;
  const { refetch } = past;

  useEffect(() => {
    if (!base) return;
    let set = curveSet(base, beta);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const grow = () => {
      timer = undefined;
      const events = tail.since(set.lastSeq);
      if (events === null || set.added > mostAdded) {
        void refetch();
        return;
      }
      const next = withEvents(set, events, beta);
      if (next !== set) setGrown({ from: base, set: next });
      set = next;
    };
    const soon = () => {
      timer ??= setTimeout(grow, growMs);
    };
    const stop = tail.subscribe(soon);
    grow();
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [base, beta, tail, refetch]);

  return {
    past,
    curves: grown && grown.from === base ? grown.set.curves : base ? curveSet(base, beta).curves : [],
  };
}
