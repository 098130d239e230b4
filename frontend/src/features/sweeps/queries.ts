import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

const listMs = 10_000;
const activeMs = 3000;

export const sweepsQuery = queryOptions({
  queryKey: ["sweeps"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/sweeps", { signal }))).items,
  refetchInterval: ({ state }) => (state.data?.some(({ status }) => status === "running") ? listMs : false),
});

export const sweepQuery = (id: string) =>
  queryOptions({
    queryKey: ["sweeps", id],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/sweeps/{sweep_id}", { signal, params: { path: { sweep_id: id } } })),
    // A paused or stopped sweep still has runs that end.
    refetchInterval: ({ state }) =>
      state.data && (state.data.status === "running" || state.data.trials.running > 0) ? activeMs : false,
  });

/** Of one revision. The earlier one stays until the next has been read. */
export const leaderboardQuery = (id: string, revision: number | undefined, limit: number) =>
  queryOptions({
    queryKey: ["sweeps", id, "leaderboard", revision, limit],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/sweeps/{sweep_id}/leaderboard", {
          signal,
          params: { path: { sweep_id: id }, query: { limit } },
        }),
      ),
    enabled: revision !== undefined,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  });

interface TableForm {
  format: "csv" | "markdown" | "latex";
  rows: string | null;
  columns: string[];
}

/** The results of one revision as text. */
export const tableQuery = (id: string, revision: number, { format, rows, columns }: TableForm) =>
  queryOptions({
    queryKey: ["sweeps", id, "table", revision, format, rows, columns],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/sweeps/{sweep_id}/table", {
          signal,
          params: { path: { sweep_id: id }, query: { format, ...(rows === null ? {} : { rows, columns }) } },
          parseAs: "text",
        }),
      ) as Promise<string>,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** Computed from the results alone, so it changes with their number. */
export const analysisQuery = (id: string, results: number | undefined) =>
  queryOptions({
    queryKey: ["sweeps", id, "analysis", results],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/sweeps/{sweep_id}/analysis", { signal, params: { path: { sweep_id: id } } })),
    enabled: (results ?? 0) > 0,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  });
