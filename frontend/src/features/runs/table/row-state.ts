import type { TableRow } from "@/api/types";
import type { RunState } from "@/components/runs/run-state";

/** What the status badge of a row shows. `queue`: the next runs of the queue. */
export function rowState(run: TableRow, queue: readonly string[]): RunState {
  const place = queue.indexOf(run.id);
  return {
    status: run.status,
    phase: run.phase ?? null,
    attempt: run.attempt,
    reason: run.reason ?? null,
    position: place < 0 ? null : place + 1,
  };
}
