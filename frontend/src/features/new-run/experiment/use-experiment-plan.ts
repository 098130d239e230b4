import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ApiError, http, unwrap } from "@/api/client";
import type { requestOf } from "./request";

export type ExperimentRequest = ReturnType<typeof requestOf>;

/** What the API would train, or an ApiError with its problems by field. Launches nothing. */
export function useExperimentPlan(request: ExperimentRequest) {
  const query = useQuery({
    queryKey: ["experiment-plan", { ...request, name: "" }],
    queryFn: async ({ signal }) => {
      const body = request as Record<string, unknown>;
      const verdict = await unwrap(http.POST("/api/v1/experiments/validate", { signal, body }));
      if (!verdict.plan) throw new ApiError(422, "This experiment can't run.", "", verdict.problems);
      return verdict.plan;
    },
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  return { ...query, isCurrent: query.isSuccess && !query.isPlaceholderData };
}
