import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { whileActive } from "@/api/polling";
import type { RunStatus } from "@/api/types";

/** `started`: number of started attempts; each may replace more points. */
export const ghostQuery = (id: string, name: string, started: number, isOn: boolean) =>
  queryOptions({
    queryKey: ["run", id, "ghost", name, started],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/metrics/{name}", {
          signal,
          params: { path: { run_id: id, name }, query: { ghost: true } },
        }),
      ),
    enabled: isOn,
  });

interface SeriesOptions {
  smooth: number;
  ghost: boolean;
  /** Number of attempts that replaced part of an earlier one: each changes the history. */
  cuts: number;
  status: RunStatus;
}

/** All metrics of a run, each reduced to the points that a chart can show. */
export const seriesListQuery = (id: string, { smooth, ghost, cuts, status }: SeriesOptions) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "series"], also: [{ smooth, ghost, cuts }], status }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/series", {
          signal,
          params: { path: { run_id: id }, query: { points: "600", times: true, smooth, ghost } },
        }),
      ),
    staleTime: 30_000,
  });

/** The same for a related run: up to a step (null: all), without times. */
export const relatedSeriesQuery = (
  id: string,
  { smooth, upTo, status }: { smooth: number; upTo: number | null; status: RunStatus },
) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "related"], also: [{ smooth, upTo }], status, everyMs: 30_000 }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/series", {
          signal,
          params: {
            path: { run_id: id },
            query: { points: "600", smooth, ...(upTo === null ? {} : { to: upTo }) },
          },
        }),
      ),
  });

interface RangeOptions {
  /** Steps, both ends included; null: none. */
  range: { from: number; to: number } | null;
  smooth: number;
  /** A new attempt replaces the end of the previous one. */
  attempt: number;
}

/** One metric between two steps: exact if there are few enough points. */
export const rangeQuery = (id: string, name: string, { range, smooth, attempt }: RangeOptions) =>
  queryOptions({
    queryKey: ["run", id, "range", name, { ...range, smooth, attempt }],
    queryFn: async ({ signal }) => {
      const { from, to } = range ?? { from: 0, to: 0 };
      const query = { from, to, smooth, times: true, points: "2000" };
      const path = "/api/v1/runs/{run_id}/metrics/{name}";
      const series = await unwrap(http.GET(path, { signal, params: { path: { run_id: id, name }, query } }));
      return { from, to, series };
    },
    placeholderData: (previous) => previous,
    enabled: range !== null,
  });
