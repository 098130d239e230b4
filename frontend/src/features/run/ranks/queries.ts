import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { whileActive } from "@/api/polling";
import type { RunStatus } from "@/api/types";

/** The changes of one module; `prunings` as above. */
export const moduleLedgerQuery = (id: string, module: number, prunings: number) =>
  queryOptions({
    queryKey: ["run", id, "ledger", prunings, module],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks/ledger", {
          signal,
          params: { path: { run_id: id }, query: { module } },
        }),
      ),
  });

/** The components of one module over the steps; `prunings` as above. */
export const componentsQuery = (id: string, module: number, prunings: number, status: RunStatus) =>
  queryOptions({
    ...whileActive({
      key: ["run", id, "components", String(module)],
      also: [prunings],
      status,
      everyMs: 30_000,
    }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks/components", {
          signal,
          params: { path: { run_id: id }, query: { module, frames: 400 } },
        }),
      ),
  });
