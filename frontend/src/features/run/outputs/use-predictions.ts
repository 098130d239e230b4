import { useMutation, useQuery } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";

const pollMs = 700;

export type Input = Record<string, string>;

/** Asks a worker for the predictions of both models of a run, and waits for them. */
export function usePredictions(runId: string) {
  const ask = useMutation({
    mutationFn: (inputs: Input[]) =>
      unwrap(
        http.POST("/api/v1/runs/{run_id}/predictions", {
          params: { path: { run_id: runId } },
          body: { inputs },
        }),
      ),
  });
  const id = ask.data?.id;
  const answer = useQuery({
    queryKey: ["run", runId, "prediction", id],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/predictions/{prediction_id}", {
          signal,
          params: { path: { run_id: runId, prediction_id: id ?? "" } },
        }),
      ),
    enabled: id !== undefined,
    refetchInterval: ({ state }) =>
      state.error || state.data?.status === "done" || state.data?.status === "failed" ? false : pollMs,
  });
  const isBusy =
    ask.isPending || (id !== undefined && (answer.data?.status ?? "waiting") in { waiting: 1, running: 1 });
  return { ask, answer, isBusy };
}
