import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

export const modulesQuery = (model: string) =>
  queryOptions({
    queryKey: ["models", model, "modules"],
    queryFn: async ({ signal }) =>
      (
        await unwrap(
          http.GET("/api/v1/models/{model_id}/modules", { signal, params: { path: { model_id: model } } }),
        )
      ).items,
    staleTime: 5 * 60_000,
  });
