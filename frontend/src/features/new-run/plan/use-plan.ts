import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, http, unwrap } from "@/api/client";
import type { ConfigDraft } from "@/api/types";

/** The API's plan for a configuration, or an ApiError with its problems by field. Launches nothing. */
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
    // A rejection doesn't change until the configuration does.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  // While the configuration cannot run, the last valid plan stays on the page, faded, so that nothing moves.
  const [last, setLast] = useState(query.data);
  if (query.data && query.data !== last) setLast(query.data);
  const isCurrent = query.isSuccess && !query.isPlaceholderData;
  return { ...query, data: query.data ?? last, isCurrent };
}
