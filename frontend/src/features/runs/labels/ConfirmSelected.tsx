import { Box } from "@mantine/core";
import { useState } from "react";
import type { TableRow } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { useRunActions } from "@/components/runs/use-run-actions";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { canDelete, canStop } from "@/features/runs/query/view";

export interface Asked {
  action: "stop" | "delete";
  selected: readonly TableRow[];
}

interface ConfirmSelectedProps {
  /** Null: the dialog is closed. */
  asked: Asked | null;
  onClose: () => void;
  onDone: () => void;
}

/** Asks before the selected runs are stopped or deleted, and says which of them it will be. */
export function ConfirmSelected({ asked, onClose, onDone }: ConfirmSelectedProps) {
  // The last question, so that the text stays while the dialog closes.
  const [last, setLast] = useState(asked);
  if (asked && asked !== last) setLast(asked);
  const { stop, remove } = useRunActions();
  if (!last) return null;
  const { action, selected } = last;
  const runs = selected.filter((run) => (action === "stop" ? canStop : canDelete)(run.status));
  const others = selected.length - runs.length;
  const dialog = { opened: asked !== null, onClose };
  return action === "stop" ? (
    <Confirm
      {...dialog}
      title={`Stop ${plural(runs.length, "run")}?`}
      action="Save and stop"
      isBusy={stop.isPending}
      onConfirm={() => stop.mutate({ runs, save: true }, { onSettled: onDone })}
    >
      <RunNames runs={runs} />
      Running runs write a checkpoint first and can be resumed. Queued runs are removed from the queue.
      {others ? ` ${plural(others, "selected run")} ${others === 1 ? "has" : "have"} already ended.` : ""}
    </Confirm>
  ) : (
    <Confirm
      {...dialog}
      title={`Delete ${plural(runs.length, "run")}?`}
      action="Delete"
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate(runs, { onSettled: onDone })}
    >
      <RunNames runs={runs} />
      {runs.length === 1 ? "Its" : "Their"} history, logs, checkpoints and results are removed. This cannot be
      undone; to hide runs and keep them, archive them instead.
      {others
        ? ` ${plural(others, "selected run")} ${others === 1 ? "is still active and is" : "are still active and are"} kept.`
        : ""}
    </Confirm>
  );
}

const mostNames = 8;

function RunNames({ runs }: { runs: readonly TableRow[] }) {
  const more = runs.length - mostNames;
  return (
    <Box component="ul" pl="md" mt={0} mb="xs" data-testid="confirmed-runs">
      {runs.slice(0, more > 1 ? mostNames : mostNames + 1).map((run) => (
        <li key={run.id}>
          <div className="clip" title={run.name}>
            {run.name}
          </div>
        </li>
      ))}
      {more > 1 ? <li>and {count(more)} more</li> : null}
    </Box>
  );
}
