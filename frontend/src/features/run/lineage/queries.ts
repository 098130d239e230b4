import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { unlessStreaming } from "@/api/polling";

export const treeQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "tree"],
    queryFn: async ({ signal }) =>
      (await unwrap(http.GET("/api/v1/runs/{run_id}/tree", { signal, params: { path: { run_id: id } } })))
        .items,
    refetchInterval: unlessStreaming(10_000),
  });
