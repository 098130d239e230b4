import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

const constant = { staleTime: 5 * 60_000 };

export const configSchemaQuery = queryOptions({
  queryKey: ["config-schema"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/config-schema", { signal })),
  ...constant,
});

/** A preset has the models and data sets that are installed now: read at every visit. */
export const presetsQuery = queryOptions({
  queryKey: ["presets"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/presets", { signal }))).items,
});

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/models", { signal }))).items,
  staleTime: 30_000,
});
