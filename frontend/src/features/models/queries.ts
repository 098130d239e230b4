import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { ModelDownload, ModelInfo } from "@/api/types";
import { notify, notifyError } from "@/components/feedback/toast";
import { downloadModel, modelDownloadsQuery } from "@/components/hub/downloads";

/** Models that a download added appear while it runs, and the last use changes: read at every visit. */
export const modelsQuery = (downloaded: number) =>
  queryOptions({
    queryKey: ["models", "with use", downloaded],
    queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/models", { signal }))).items,
    placeholderData: (before) => before,
  });

export function useDeleteModel(onDone: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (model: ModelInfo) =>
      unwrap(http.DELETE("/api/v1/models/{model_id}", { params: { path: { model_id: model.id } } })),
    onSuccess: (_, model) => notify(`Deleted ${model.name}.`),
    onError: (error, model) => notifyError(`Could not delete ${model.name}`, error),
    onSettled: () => {
      onDone();
      return client.invalidateQueries({ queryKey: ["models"] });
    },
  });
}

/** Starts and cancels downloads. */
export function useDownloads() {
  const client = useQueryClient();
  const onSettled = () => client.invalidateQueries({ queryKey: modelDownloadsQuery.queryKey });
  const start = useMutation({
    mutationFn: downloadModel,
    onError: (error) => notifyError("Could not start the download", error),
    onSettled,
  });
  const cancel = useMutation({
    mutationFn: (download: ModelDownload) =>
      unwrap(
        http.POST("/api/v1/model-downloads/{download_id}/cancel", {
          params: { path: { download_id: download.id } },
        }),
      ),
    onError: (error) => notifyError("Could not cancel the download", error),
    onSettled,
  });
  return { start, cancel };
}
