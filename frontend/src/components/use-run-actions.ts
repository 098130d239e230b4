import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { told, toldError } from "./toast";

type Named = { id: string; name: string };

const path = (id: string) => ({ params: { path: { run_id: id } } });
const several = (runs: Named[]) => (runs.length === 1 ? (runs[0]?.name ?? "") : `${runs.length} runs`);

/** Does one thing to each run; the first refusal is told after all were tried. */
async function each(runs: Named[], act: (run: Named) => Promise<unknown>) {
  const results = await Promise.allSettled(runs.map(act));
  const refused = results.find((result) => result.status === "rejected");
  if (refused) throw refused.reason;
}

/** Stop, resume, rename and delete, with what is told and what is read again after. */
export function useRunActions() {
  const client = useQueryClient();
  const refresh = (runs: Named[]) =>
    Promise.all([
      client.invalidateQueries({ queryKey: ["runs"] }),
      ...runs.map((run) => client.invalidateQueries({ queryKey: ["run", run.id], exact: true })),
    ]);

  const stop = useMutation({
    mutationFn: ({ runs, save }: { runs: Named[]; save: boolean }) =>
      each(runs, (run) =>
        unwrap(http.POST("/api/v1/runs/{run_id}/stop", { ...path(run.id), body: { save } })),
      ),
    onSuccess: (_, { runs, save }) =>
      told(save ? `${several(runs)}: asked to save and stop.` : `${several(runs)}: asked to stop.`),
    onError: (error) => toldError("Could not stop", error),
    onSettled: (_, __, { runs }) => refresh(runs),
  });
  const resume = useMutation({
    mutationFn: (run: Named) => unwrap(http.POST("/api/v1/runs/{run_id}/resume", path(run.id))),
    onSuccess: (_, run) => told(`${run.name}: waits to be resumed.`),
    onError: (error) => toldError("Could not resume", error),
    onSettled: (_, __, run) => refresh([run]),
  });
  const rename = useMutation({
    mutationFn: ({ id, name }: Named) =>
      unwrap(http.PATCH("/api/v1/runs/{run_id}", { ...path(id), body: { name } })),
    onError: (error) => toldError("Could not rename", error),
    onSettled: (_, __, run) => refresh([run]),
  });
  const remove = useMutation({
    mutationFn: (runs: Named[]) =>
      each(runs, (run) => unwrap(http.DELETE("/api/v1/runs/{run_id}", path(run.id)))),
    onSuccess: (_, runs) => told(`${several(runs)}: deleted.`),
    onError: (error) => toldError("Could not delete", error),
    onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
  return { stop, resume, rename, remove };
}
