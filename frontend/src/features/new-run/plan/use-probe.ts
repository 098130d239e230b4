import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { http, unwrap } from "@/api/client";
import type { ConfigDraft } from "@/api/types";

const pollMs = 700;

/** Measures a few steps of a configuration on a worker; the plan then includes the measurement. */
export function useProbe() {
  const client = useQueryClient();
  const [id, setId] = useState<string | null>(null);
  const start = useMutation({
    mutationFn: (draft: ConfigDraft) =>
      unwrap(http.POST("/api/v1/probes", { body: { config: draft as never } })),
    onMutate: () => setId(null),
    onSuccess: (accepted) => setId(accepted.id),
  });
  const answer = useQuery({
    queryKey: ["probe", id],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/probes/{probe_id}", { signal, params: { path: { probe_id: id ?? "" } } })),
    enabled: id !== null,
    refetchInterval: ({ state }) =>
      state.error || state.data?.status === "done" || state.data?.status === "failed" ? false : pollMs,
  });
  const cancel = useMutation({
    mutationFn: (probeId: string) =>
      unwrap(http.POST("/api/v1/probes/{probe_id}/cancel", { params: { path: { probe_id: probeId } } })),
    onSettled: () => setId(null),
  });
  const status = id === null ? undefined : answer.data?.status;
  useEffect(() => {
    if (status === "done") void client.invalidateQueries({ queryKey: ["plan"] });
  }, [status, client]);
  return {
    start: start.mutate,
    cancel: () => id !== null && cancel.mutate(id),
    isBusy: start.isPending || (id !== null && !answer.error && status !== "done" && status !== "failed"),
    answer: id === null ? undefined : answer.data,
    error: start.error ?? answer.error,
  };
}
