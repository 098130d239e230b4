import { queryOptions } from "@tanstack/react-query";
import { isActive } from "@/api/active-runs";
import { http, unwrap } from "@/api/client";
import { rarelyMs, whileActive } from "@/api/polling";
import type { RunStatus } from "@/api/types";

const oftenMs = 20_000;

/**
 * Problems of a run. Read more often while it is quiet, since its worker may be gone, and while a problem is shown, so that
 * it disappears soon after its cause.
 */
export const runHealthQuery = (id: string, status: RunStatus, isQuiet: boolean) =>
  queryOptions({
    ...whileActive({ key: ["run", id, "health"], status }),
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/health", { signal, params: { path: { run_id: id } } })),
    refetchInterval: ({ state }) =>
      isActive(status) && (isQuiet || state.data?.items.length ? oftenMs : rarelyMs),
  });
