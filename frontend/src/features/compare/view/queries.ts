import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { whileActive } from "@/api/polling";
import type { RunStatus } from "@/api/types";
import type { Alignment, CurveAxis, Smoothing } from "./view";

const everyMs = 3000;

export const ranksQuery = (id: string, frames: number, status: RunStatus) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "ranks", String(frames)], status, everyMs }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks", {
          signal,
          params: { path: { run_id: id }, query: { frames } },
        }),
      ),
  });

const groupOf = (bySeed: boolean) => (bySeed ? ("seed" as const) : ("run" as const));

export const compareQuery = (runs: string[], bySeed: boolean) =>
  queryOptions({
    queryKey: ["compare", runs, bySeed],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/compare", { signal, params: { query: { runs, group: groupOf(bySeed) } } })),
    enabled: runs.length > 1,
    placeholderData: keepPreviousData,
    refetchInterval: (query) =>
      query.state.data?.runs.some((run) => run.ended_at === null) ? everyMs : (false as const),
  });

interface CurvesRequest {
  runs: string[];
  names: string[];
  axis: CurveAxis;
  bySeed: boolean;
  smooth: Smoothing;
  /** Whether a run is still training. */
  isLive: boolean;
}

export const curvesQuery = ({ runs, names, axis, bySeed, smooth, isLive }: CurvesRequest) =>
  queryOptions({
    queryKey: ["compare", "series", runs, names, axis, bySeed, smooth, isLive],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/compare/series", {
          signal,
          params: { query: { runs, names, axis, smooth: Number(smooth), group: groupOf(bySeed) } },
        }),
      ),
    enabled: names.length > 0,
    placeholderData: keepPreviousData,
    refetchInterval: isLive ? everyMs : (false as const),
  });

export const rankDifferenceQuery = (a: string, b: string, align: Alignment, isLive: boolean) =>
  queryOptions({
    queryKey: ["compare", "ranks", a, b, align, isLive],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/compare/ranks", { signal, params: { query: { a, b, align } } })),
    placeholderData: keepPreviousData,
    refetchInterval: isLive ? everyMs : (false as const),
  });

export const forestQuery = (runs: string[]) =>
  queryOptions({
    queryKey: ["compare", "tree", runs],
    queryFn: async ({ signal }) =>
      (await unwrap(http.GET("/api/v1/compare/tree", { signal, params: { query: { runs } } }))).items,
  });
