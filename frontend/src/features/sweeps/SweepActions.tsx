import { Button } from "@mantine/core";
import { IconCopy, IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { http, unwrap } from "@/api/client";
import type { SweepDetail } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import { DeleteTrials } from "@/components/trials/DeleteTrials";
import { PauseResumeStop, type SteerAction } from "@/components/trials/PauseResumeStop";
import { ExtendDialog } from "./ExtendDialog";

/** Pause, resume, stop, extend, copy and delete. */
export function SweepActions({ sweep }: { sweep: SweepDetail }) {
  const client = useQueryClient();
  const [isExtending, setExtending] = useState(false);
  const path = { params: { path: { sweep_id: sweep.id } } };
  const change = useMutation({
    mutationFn: (action: SteerAction) => unwrap(http.POST(`/api/v1/sweeps/{sweep_id}/${action}`, path)),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["sweeps"] }),
    onError: (error) => notifyError("Could not change the sweep", error),
  });
  const { status } = sweep;
  return (
    <>
      <PauseResumeStop
        state={status === "running" || status === "paused" || status === "stopped" ? status : "other"}
        noun="sweep"
        busy={change.isPending ? change.variables : null}
        onAct={change.mutate}
        stopping="Queued runs are removed from the queue, and running ones are stopped. After a resume, they are trained from the start. Pause instead to let them finish."
      />
      {status === "failed" ? null : (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={14} />}
          onClick={() => setExtending(true)}
        >
          Extend
        </Button>
      )}
      <Button
        component={Link}
        to={`/sweeps/new?from=${sweep.id}`}
        size="xs"
        variant="default"
        leftSection={<IconCopy size={14} />}
      >
        Copy
      </Button>
      <DeleteTrials
        noun="sweep"
        id={sweep.id}
        name={sweep.name}
        remove={() => unwrap(http.DELETE("/api/v1/sweeps/{sweep_id}", path))}
      >
        Its design and leaderboard are deleted. This can't be undone. Its queued runs are deleted, running
        ones are stopped, and finished ones are kept.
      </DeleteTrials>
      <ExtendDialog sweep={sweep} opened={isExtending} onClose={() => setExtending(false)} />
    </>
  );
}
