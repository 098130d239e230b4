import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { http, unwrap } from "@/api/client";
import type { RunConfig, RunDetail } from "@/api/types";
import type { Edit } from "./unsaved";

interface LaunchOptions {
  edit: Edit;
  /** The edit as the page opened with it. */
  start: Edit;
  /** The queued run that is changed; null to launch a new one. */
  edited: string | null;
  onDone: (run: RunDetail) => void;
}

/** Launches the edit as a run, or saves it as the new configuration of a queued run. */
export function useLaunch({ edit, start, edited, onDone }: LaunchOptions) {
  const client = useQueryClient();
  const launch = useMutation({
    mutationFn: () => (edited ? saveQueued(edited, edit, start) : launchNew(edit)),
    onSuccess: (run) => {
      void client.invalidateQueries({ queryKey: ["runs"] });
      void client.invalidateQueries({ queryKey: ["run", run.id] });
      onDone(run);
    },
  });
  // An error is about the configuration that was sent, so it is cleared when that changes.
  const { reset } = launch;
  const { draft, name, tags } = edit;
  useEffect(() => reset(), [draft, name, tags, reset]);
  return launch;
}

const launchNew = ({ draft, name, tags, notes, priority }: Edit): Promise<RunDetail> =>
  unwrap(
    http.POST("/api/v1/runs", {
      body: { config: draft as unknown as RunConfig, name: name.trim() || null, tags, notes, priority },
    }),
  );

async function saveQueued(id: string, edit: Edit, start: Edit): Promise<RunDetail> {
  const params = { path: { run_id: id } };
  const config = edit.draft as unknown as RunConfig;
  const run = await unwrap(http.PUT("/api/v1/runs/{run_id}/config", { params, body: { config } }));
  const { tags, priority } = edit;
  const name = edit.name.trim() || start.name;
  const isSame =
    name === start.name && priority === start.priority && JSON.stringify(tags) === JSON.stringify(start.tags);
  if (isSame) return run;
  return unwrap(http.PATCH("/api/v1/runs/{run_id}", { params, body: { name, priority, tags } }));
}
