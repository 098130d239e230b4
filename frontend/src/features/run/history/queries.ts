import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

/** `prunings`: number of prunings that the page has seen; the ledger is read again when it changes. */
export const ledgerQuery = (id: string, prunings: number) =>
  queryOptions({
    queryKey: ["run", id, "ledger", prunings],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/ranks/ledger", { signal, params: { path: { run_id: id } } })),
  });
