import { Button } from "@mantine/core";
import { IconCopy, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { http, unwrap } from "@/api/client";
import type { SweepDetail } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { notify, notifyError } from "@/components/feedback/toast";
import { PauseResumeStop, type SteerAction } from "@/components/trials/PauseResumeStop";
import { ExtendDialog } from "./ExtendDialog";

/** Pause, resume, stop, extend, copy and delete. */
export function SweepActions({ sweep }: { sweep: SweepDetail }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isExtending, setExtending] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const path = { params: { path: { sweep_id: sweep.id } } };
  const change = useMutation({
    mutationFn: (action: SteerAction) => unwrap(http.POST(`/api/v1/sweeps/{sweep_id}/${action}`, path)),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["sweeps"] }),
    onError: (error) => notifyError("Could not change the sweep", error),
  });
  const remove = useMutation({
    mutationFn: () => unwrap(http.DELETE("/api/v1/sweeps/{sweep_id}", path)),
    onSuccess: async () => {
      await navigate("/sweeps");
      client.removeQueries({ queryKey: ["sweeps", sweep.id] });
      void client.invalidateQueries({ queryKey: ["sweeps"] });
      notify(`Deleted ${sweep.name}.`);
    },
    onError: (error) => notifyError("Could not delete the sweep", error),
    onSettled: () => setDeleting(false),
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
      <Button
        size="xs"
        variant="subtle"
        color="red"
        leftSection={<IconTrash size={14} />}
        onClick={() => setDeleting(true)}
      >
        Delete
      </Button>
      <ExtendDialog sweep={sweep} opened={isExtending} onClose={() => setExtending(false)} />
      <Confirm
        opened={isDeleting}
        title="Delete this sweep?"
        action="Delete"
        isBusy={remove.isPending}
        onClose={() => setDeleting(false)}
        onConfirm={() => remove.mutate()}
      >
        Its design and leaderboard are removed, queued runs are deleted and running ones are stopped. Finished
        runs are kept. This cannot be undone.
      </Confirm>
    </>
  );
}
