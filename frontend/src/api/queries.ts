import { queryOptions } from "@tanstack/react-query";
import { ApiError, http, unwrap } from "./client";
import { rarelyMs, unlessStreaming } from "./polling";
import { link } from "./server-link";

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/session", { signal })),
  staleTime: 60_000,
});

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}", { signal, params: { path: { run_id: id } } })),
    refetchInterval: ({ state: { data, error } }) => {
      if (error instanceof ApiError && error.status === 404) return false;
      if (!link.isStreaming()) return data?.ended_at ? 5000 : 2000;
      // The position in the queue changes without an event of this run.
      return data?.status === "queued" || data?.status === "interrupted" ? 20_000 : rarelyMs;
    },
  });

/** Simpler methods at the budget of a finished run, as presets to launch. */
export const controlsQuery = (runId: string) =>
  queryOptions({
    queryKey: ["run", runId, "controls"],
    queryFn: async ({ signal }) =>
      (
        await unwrap(
          http.GET("/api/v1/runs/{run_id}/controls", { params: { path: { run_id: runId } }, signal }),
        )
      ).items,
    staleTime: 5 * 60_000,
  });

export const queueQuery = queryOptions({
  queryKey: ["queue"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/queue", { signal }))).items,
  refetchInterval: 2000,
});

export const workersQuery = queryOptions({
  queryKey: ["workers"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/workers", { signal }))).items,
  refetchInterval: unlessStreaming(5000),
});

export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/system/health", { signal })),
  refetchInterval: unlessStreaming(5000),
});

export const datasetsQuery = queryOptions({
  queryKey: ["datasets"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/datasets", { signal }))).items,
  staleTime: 30_000,
});
