import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

/** `prunings`: how many the page has seen; each one makes the ledger be read again. */
export const ledgerQuery = (id: string, prunings: number) =>
  queryOptions({
    queryKey: ["run", id, "ledger", prunings],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/ranks/ledger", { signal, params: { path: { run_id: id } } })),
  });
