import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { DatasetDetail } from "@/api/types";

const activeMs = 1000;
const idleMs = 10_000;

/** Imports that run, and those that failed. */
export const importsQuery = queryOptions({
  queryKey: ["datasets", "uploads"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/datasets/uploads", { signal }))).items,
  refetchInterval: ({ state: { data } }) =>
    data?.some((upload) => upload.status !== "failed") ? activeMs : idleMs,
});

/** Folders in datasets/ whose files can be imported as one data set. */
export const dataFoldersQuery = queryOptions({
  queryKey: ["data-folders"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/data-folders", { signal }))).items,
});

/** Data files of installed packages that can be imported. */
export const packageFilesQuery = queryOptions({
  queryKey: ["data-packages"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/data-packages", { signal }))).items,
  staleTime: 60_000,
});

export const datasetQuery = (id: string) =>
  queryOptions({
    queryKey: ["datasets", id],
    // The client's types turn pairs into lists.
    queryFn: async ({ signal }) =>
      (await unwrap(
        http.GET("/api/v1/datasets/{dataset_id}", { signal, params: { path: { dataset_id: id } } }),
      )) as DatasetDetail,
  });

export interface RowFilter {
  column: string;
  value: string;
}

export const rowsQuery = (id: string, offset: number, limit: number, filter: RowFilter | null) =>
  queryOptions({
    queryKey: ["datasets", id, "rows", offset, limit, filter],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/datasets/{dataset_id}/rows", {
          signal,
          params: { path: { dataset_id: id }, query: { offset, limit, ...(filter ?? {}) } },
        }),
      ),
    placeholderData: (previous) => previous,
    staleTime: 60_000,
  });
