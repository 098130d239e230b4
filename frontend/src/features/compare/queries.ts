import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { whileActive } from "@/api/polling";
import type { RunStatus } from "@/api/types";

export const seriesQuery = (id: string, name: string, status: RunStatus) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "metrics", name], status, everyMs: 3000 }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/metrics/{name}", { signal, params: { path: { run_id: id, name } } }),
      ),
  });

export const ranksQuery = (id: string, frames: number, status: RunStatus) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "ranks", String(frames)], status, everyMs: 3000 }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks", {
          signal,
          params: { path: { run_id: id }, query: { frames } },
        }),
      ),
  });

export const compareQuery = (runs: string[]) =>
  queryOptions({
    queryKey: ["compare", runs],
    queryFn: ({ signal }) => unwrap(http.GET("/api/v1/compare", { signal, params: { query: { runs } } })),
    enabled: runs.length > 0,
  });
