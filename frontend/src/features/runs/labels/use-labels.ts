import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { notifyError } from "@/components/feedback/toast";
import { notifyWithUndo } from "@/components/feedback/undo-toast";
import { plural } from "@/components/text/plural";

interface LabelChange {
  run_ids: string[];
  add_tags?: string[];
  remove_tags?: string[];
  project?: string;
  archived?: boolean;
}

const done = (change: LabelChange): string => {
  const runs = plural(change.run_ids.length, "run");
  if (change.archived !== undefined) return `${runs} ${change.archived ? "archived" : "brought back"}.`;
  if (change.project !== undefined)
    return change.project ? `${runs} moved to ${change.project}.` : `${runs}: project removed.`;
  return `Tags of ${runs} changed.`;
};

/** Changes to the labels of several runs; the notification offers to undo them. */
export function useLabels() {
  const client = useQueryClient();
  const refresh = () =>
    Promise.all([
      client.invalidateQueries({ queryKey: ["run-changes"] }),
      client.invalidateQueries({ queryKey: ["filter-check"] }),
      client.invalidateQueries({ queryKey: ["run"] }),
    ]);
  const restore = useMutation({
    mutationFn: (items: Awaited<ReturnType<typeof changeLabels>>["before"]) =>
      unwrap(http.POST("/api/v1/runs/labels/restore", { body: { items } })),
    onError: (error) => notifyError("Could not undo", error),
    onSettled: refresh,
  });
  const change = useMutation({
    mutationFn: changeLabels,
    onSuccess: ({ before }, made) => notifyWithUndo(done(made), () => restore.mutate(before)),
    onError: (error) => notifyError("Could not change the runs", error),
    onSettled: refresh,
  });
  return { change };
}

const changeLabels = (change: LabelChange) =>
  unwrap(
    http.POST("/api/v1/runs/labels", {
      body: { add_tags: [], remove_tags: [], ...change },
    }),
  );
