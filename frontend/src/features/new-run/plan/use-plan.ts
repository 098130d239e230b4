import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, http, unwrap } from "@/api/client";
import type { ConfigDraft } from "@/api/types";

/** What the API says about a configuration: its plan, or an ApiError with a problem for each field. Starts nothing. */
export function usePlan(draft: ConfigDraft) {
  const query = useQuery({
    queryKey: ["plan", draft],
    queryFn: async ({ signal }) => {
      const verdict = await unwrap(http.POST("/api/v1/runs/validate", { signal, body: { config: draft } }));
      if (!verdict.plan) throw new ApiError(422, "This configuration can't run.", "", verdict.problems);
      return verdict.plan;
    },
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
    // A refusal stays one until the configuration changes.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  // While the configuration cannot run, the last plan that could stays on the page, faded: nothing jumps.
  const [last, setLast] = useState(query.data);
  if (query.data && query.data !== last) setLast(query.data);
  const isCurrent = query.isSuccess && !query.isPlaceholderData;
  return { ...query, data: query.data ?? last, isCurrent };
}
