import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { http, unwrap } from "@/api/client";
import { isMoving } from "@/api/moving";
import { seriesListQuery } from "@/api/queries";
import type { RunStatus } from "@/api/types";
import { type CurveSet, curveSet, newestStep, withLater } from "./curve-data";

const pollMs = 1500;
/** After so many new points the server reduces the whole anew. */
const mostAdded = 20_000;

export interface CurvesWish {
  /** Weight of the exponential mean, 0 for none. */
  beta: number;
  hasGhosts: boolean;
  /** Another attempt has cut something away: read anew. */
  attempt: number;
  status: RunStatus;
}

/** All metrics of a run, smoothed over their full data on the server, and kept up to date at their ends. */
export function useCurves(id: string, { beta, hasGhosts, attempt, status }: CurvesWish) {
  const isGrowing = isMoving(status);
  const past = useQuery(seriesListQuery(id, { smooth: beta, ghost: hasGhosts, attempt, status }));
  const [grown, setGrown] = useState<{ from: typeof past.data; set: CurveSet } | null>(null);
  const base = past.data;
  const { refetch } = past;

  useEffect(() => {
    if (!base || !isGrowing) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let set = curveSet(base, beta);
    const poll = async () => {
      try {
        const later = await unwrap(
          http.GET("/api/v1/runs/{run_id}/series", {
            signal: controller.signal,
            params: { path: { run_id: id }, query: { from: newestStep(set), points: "all", times: true } },
          }),
        );
        const next = withLater(set, later, beta);
        if (next.added > set.added) setGrown({ from: base, set: next });
        set = next;
      } catch {
        if (controller.signal.aborted) return;
        // The head of the page says that the server is away; the next poll tries again.
      }
      if (set.added > mostAdded) void refetch();
      else timer = setTimeout(poll, pollMs);
    };
    timer = setTimeout(poll, pollMs);
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [base, beta, id, isGrowing, refetch]);

  return {
    past,
    curves: grown && grown.from === base ? grown.set.curves : base ? curveSet(base, beta).curves : [],
  };
}
