import { queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { ExperimentStatus } from "@/api/types";
import type { Selection } from "./selection";

/** An answer costs the server one to three seconds of CPU, and a trial takes minutes. */
const activeMs = 15_000;
const isActive = (status: ExperimentStatus): boolean => status === "tuning" || status === "testing";

export const experimentsQuery = queryOptions({
  queryKey: ["experiments"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/experiments", { signal }))).items,
  refetchInterval: ({ state }) => (state.data?.some(({ status }) => isActive(status)) ? activeMs : false),
});

export const experimentQuery = (id: string) =>
  queryOptions({
    queryKey: ["experiments", id],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/experiments/{experiment_id}", { signal, params: { path: { experiment_id: id } } }),
      ),
    refetchInterval: ({ state }) => (state.data && isActive(state.data.status) ? activeMs : false),
  });

/** The answer of one revision. The earlier one stays until the next one has been computed. */
export const answerQuery = (id: string, revision: number | undefined, selection: Selection) =>
  queryOptions({
    queryKey: ["experiments", id, "answer", revision, selection],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/experiments/{experiment_id}/answer", {
          signal,
          params: { path: { experiment_id: id }, query: selection },
        }),
      ),
    enabled: revision !== undefined,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** The table as text. `format`: csv, markdown or latex. */
export async function tableText(
  id: string,
  format: "csv" | "markdown" | "latex",
  selection: Selection,
): Promise<string> {
  return unwrap(
    http.GET("/api/v1/experiments/{experiment_id}/table", {
      params: { path: { experiment_id: id }, query: { ...selection, format } },
      parseAs: "text",
    }),
  ) as Promise<string>;
}
