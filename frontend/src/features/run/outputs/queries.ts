import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

export const usageQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "usage"],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/usage", { signal, params: { path: { run_id: id } } })),
  });
