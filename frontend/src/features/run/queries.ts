import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { whileActive } from "@/api/polling";
import type { RunStatus } from "@/api/types";

/** Problems of a run. `everyMs`: polling interval while it is active. */
export const runHealthQuery = (id: string, status: RunStatus, everyMs: number) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "health"], status, everyMs }),
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/health", { signal, params: { path: { run_id: id } } })),
  });
