import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ApiError, http, unwrap } from "@/api/client";
import type { SweepBody } from "./request";

/** What the API would train, or an ApiError with its problems by field. Launches nothing. */
export function useSweepPlan(body: SweepBody) {
  const query = useQuery({
    queryKey: ["sweep-plan", { ...body, name: "", notes: "" }],
    queryFn: async ({ signal }) => {
      const verdict = await unwrap(http.POST("/api/v1/sweeps/validate", { signal, body }));
      if (!verdict.plan) throw new ApiError(422, "This sweep can't run.", "", verdict.problems);
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
