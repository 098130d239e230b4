import { Button } from "@mantine/core";
import {
  IconCopy,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlus,
  IconTrash,
} from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { http, unwrap } from "@/api/client";
import type { SweepDetail } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { notify, notifyError } from "@/components/feedback/toast";
import { ExtendDialog } from "./ExtendDialog";

type Action = "pause" | "resume" | "stop";

/** Pause, resume, stop, extend, copy and delete. */
export function SweepActions({ sweep }: { sweep: SweepDetail }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isExtending, setExtending] = useState(false);
  const [asking, setAsking] = useState<"stop" | "delete" | null>(null);
  const path = { params: { path: { sweep_id: sweep.id } } };
  const change = useMutation({
    mutationFn: (action: Action) => unwrap(http.POST(`/api/v1/sweeps/{sweep_id}/${action}`, path)),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["sweeps"] }),
    onError: (error) => notifyError("Could not change the sweep", error),
    onSettled: () => setAsking(null),
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
    onSettled: () => setAsking(null),
  });
  const { status } = sweep;
  const isBusy = (action: Action) => change.isPending && change.variables === action;
  return (
    <>
      {status === "running" ? (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlayerPause size={14} />}
          loading={isBusy("pause")}
          onClick={() => change.mutate("pause")}
        >
          Pause
        </Button>
      ) : null}
      {status === "paused" || status === "stopped" ? (
        <Button
          size="xs"
          leftSection={<IconPlayerPlay size={14} />}
          loading={isBusy("resume")}
          onClick={() => change.mutate("resume")}
        >
          Resume
        </Button>
      ) : null}
      {status === "running" || status === "paused" ? (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlayerStop size={14} />}
          onClick={() => setAsking("stop")}
        >
          Stop
        </Button>
      ) : null}
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
        onClick={() => setAsking("delete")}
      >
        Delete
      </Button>
      <ExtendDialog sweep={sweep} opened={isExtending} onClose={() => setExtending(false)} />
      <Confirm
        opened={asking === "stop"}
        title="Stop this sweep?"
        action="Stop"
        isBusy={isBusy("stop")}
        onClose={() => setAsking(null)}
        onConfirm={() => change.mutate("stop")}
      >
        Its queued runs leave the queue and those that train are stopped. After a resume, they are trained
        from the start. Pause instead to let them finish.
      </Confirm>
      <Confirm
        opened={asking === "delete"}
        title="Delete this sweep?"
        action="Delete"
        isBusy={remove.isPending}
        onClose={() => setAsking(null)}
        onConfirm={() => remove.mutate()}
      >
        Its design and leaderboard are removed, queued runs are deleted and those that train are stopped.
        Finished runs are kept. This cannot be undone.
      </Confirm>
    </>
  );
}
