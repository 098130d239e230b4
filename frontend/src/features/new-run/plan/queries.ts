import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

export const datasetPreviewQuery = (id: string, rows: number) =>
  queryOptions({
    queryKey: ["datasets", id, "preview", rows],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/datasets/{dataset_id}/preview", {
          signal,
          params: { path: { dataset_id: id }, query: { rows } },
        }),
      ),
    staleTime: 5 * 60_000,
  });
