import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { queueQuery } from "@/api/queries";
import type { RunCreate, RunStatus, SteerAction } from "@/api/types";
import { notify, notifyError } from "@/components/feedback/toast";
import { notifyWithUndo } from "@/components/feedback/undo-toast";

type Named = { id: string; name: string };
type Stoppable = Named & { status: RunStatus };

interface ForkRequest {
  run: Named;
  step: number | null;
  changes: Record<string, unknown>;
  name: string | null;
}

const path = (id: string) => ({ params: { path: { run_id: id } } });
const several = (runs: Named[]) => (runs.length === 1 ? (runs[0]?.name ?? "") : `${runs.length} runs`);

/** Applies an action to each run; throws the first error after all were tried. */
async function each(runs: Named[], act: (run: Named) => Promise<unknown>) {
  const results = await Promise.allSettled(runs.map(act));
  const refused = results.find((result) => result.status === "rejected");
  if (refused) throw refused.reason;
}

/** The actions on runs, with their notifications and the queries that they invalidate. */
export function useRunActions() {
  const client = useQueryClient();
  const refresh = (runs: Named[]) =>
    Promise.all([
      client.invalidateQueries({ queryKey: ["runs"] }),
      ...runs.map((run) => client.invalidateQueries({ queryKey: ["run", run.id], exact: true })),
    ]);

  const requeue = useMutation({
    mutationFn: (runs: Named[]) =>
      each(runs, (run) => unwrap(http.POST("/api/v1/runs/{run_id}/resume", path(run.id)))),
    onSuccess: (_, runs) => notify(`${several(runs)}: moved to the end of the queue.`),
    onError: (error) => notifyError("Could not requeue", error),
    onSettled: (_, __, runs) => refresh(runs),
  });
  const stop = useMutation({
    mutationFn: ({ runs, save }: { runs: Stoppable[]; save: boolean }) =>
      each(runs, (run) =>
        unwrap(http.POST("/api/v1/runs/{run_id}/stop", { ...path(run.id), body: { save } })),
      ),
    onSuccess: (_, { runs, save }) => {
      const queued = runs.filter((run) => run.status === "queued");
      const stopping = runs.length - queued.length;
      if (stopping === 0) {
        notifyWithUndo(
          `${several(queued)}: removed from the queue.`,
          () => requeue.mutate(queued),
          "Requeue",
        );
        return;
      }
      const text = save ? `${several(runs)}: saving, then stopping.` : `${several(runs)}: stopping.`;
      if (queued.length === 0) notify(text);
      else notifyWithUndo(text, () => requeue.mutate(queued), `Requeue the ${queued.length} queued`);
    },
    onError: (error) => notifyError("Could not stop", error),
    onSettled: (_, __, { runs }) => refresh(runs),
  });
  const resume = useMutation({
    mutationFn: (run: Named) => unwrap(http.POST("/api/v1/runs/{run_id}/resume", path(run.id))),
    onSuccess: (_, run) => notify(`${run.name}: queued to resume.`),
    onError: (error) => notifyError("Could not resume", error),
    onSettled: (_, __, run) => refresh([run]),
  });
  const retry = useMutation({
    mutationFn: ({ run, changes }: { run: Named; changes: Record<string, unknown> }) =>
      unwrap(http.POST("/api/v1/runs/{run_id}/retry", { ...path(run.id), body: { changes } })),
    onSuccess: (_, { run }) => notify(`${run.name}: queued to retry.`),
    onError: (error) => notifyError("Could not retry", error),
    onSettled: (_, __, { run }) => refresh([run]),
  });
  const fork = useMutation({
    mutationFn: ({ run, step, changes, name }: ForkRequest) =>
      unwrap(
        http.POST("/api/v1/runs/{run_id}/fork", {
          ...path(run.id),
          body: { step, changes, name, priority: 0 },
        }),
      ),
    onSuccess: (child) => notify(`${child.name}: queued.`),
    onSettled: (_, __, { run }) => refresh([run]),
  });
  const launch = useMutation({
    mutationFn: (body: RunCreate) => unwrap(http.POST("/api/v1/runs", { body })),
    onSuccess: (run) => notify(`${run.name}: queued.`),
    onError: (error) => notifyError("Could not launch", error),
    onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
  const steer = useMutation({
    mutationFn: ({ run, action, targetRank }: { run: Named; action: SteerAction; targetRank?: number }) =>
      unwrap(
        http.POST("/api/v1/runs/{run_id}/steer", {
          ...path(run.id),
          body: { action, target_rank: targetRank ?? null },
        }),
      ),
    onError: (error) => notifyError("Could not send the steering request", error),
    onSettled: (_, __, { run }) => refresh([run]),
  });
  const reorder = useMutation({
    // Serial and optimistic: a second move must not be lost while the first is pending.
    scope: { id: "queue" },
    mutationFn: (run_ids: string[]) => unwrap(http.POST("/api/v1/queue/reorder", { body: { run_ids } })),
    onMutate: (run_ids) =>
      void client.setQueryData(queueQuery.queryKey, (items) => {
        const waiting = (items ?? []).filter((run) => run_ids.includes(run.id));
        const moved = run_ids.map((id) => waiting.find((run) => run.id === id) ?? null);
        if (moved.includes(null)) return items;
        return items?.map((run) => (run_ids.includes(run.id) ? (moved.shift() ?? run) : run));
      }),
    onSuccess: ({ items }) => client.setQueryData(queueQuery.queryKey, items),
    onError: (error) => notifyError("Could not change the order", error),
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: queueQuery.queryKey }),
        client.invalidateQueries({ queryKey: ["runs"] }),
      ]),
  });
  const rename = useMutation({
    mutationFn: ({ id, name }: Named) =>
      unwrap(http.PATCH("/api/v1/runs/{run_id}", { ...path(id), body: { name } })),
    onError: (error) => notifyError("Could not rename", error),
    onSettled: (_, __, run) => refresh([run]),
  });
  const remove = useMutation({
    mutationFn: (runs: Named[]) =>
      each(runs, (run) => unwrap(http.DELETE("/api/v1/runs/{run_id}", path(run.id)))),
    onSuccess: (_, runs) => notify(`${several(runs)}: deleted.`),
    onError: (error) => notifyError("Could not delete", error),
    onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
  return { stop, resume, retry, fork, launch, steer, reorder, rename, remove };
}
