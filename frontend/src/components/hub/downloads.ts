import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { ModelDownload } from "@/api/types";

const activeMs = 1500;

export const isActive = ({ status }: Pick<ModelDownload, "status">): boolean =>
  status === "waiting" || status === "running";

const doneShown = 3;

/** Those that wait, run or have failed, and the newest that are done: the others are in the lists of models and data. */
export function shownDownloads<Download extends Pick<ModelDownload, "status">>(
  downloads: readonly Download[],
): Download[] {
  const done = downloads.filter((one) => one.status === "done").slice(0, doneShown);
  return downloads.filter((one) => one.status !== "done" || done.includes(one));
}

/** Downloads of models from the hub that wait, run or have ended. */
export const modelDownloadsQuery = queryOptions({
  queryKey: ["model-downloads"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/model-downloads", { signal }))).items,
  refetchInterval: ({ state }) => (state.data?.some(isActive) ? activeMs : false),
});

/** Downloads of data sets from the hub that wait, run or have ended. */
export const dataDownloadsQuery = queryOptions({
  queryKey: ["data-downloads"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/data-downloads", { signal }))).items,
  refetchInterval: ({ state }) => (state.data?.some(isActive) ? activeMs : false),
});

export const downloadModel = (body: { hub_id: string; revision: string }) =>
  unwrap(http.POST("/api/v1/model-downloads", { body }));

export const downloadData = (body: { hub_id: string; revision: string; subset?: string | null }) =>
  unwrap(http.POST("/api/v1/data-downloads", { body }));
