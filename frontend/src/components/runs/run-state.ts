/** The state of a run as text, from what the server reports. */
import type { Phase, RunStatus, RunSummary } from "@/api/types";

export interface RunState {
  status: RunStatus;
  phase: Phase | null;
  attempt: number;
  position?: number | null;
  reason?: string | null;
}

export const stateOf = (run: RunSummary): RunState => ({
  status: run.status,
  phase: run.phase,
  attempt: run.attempt,
  position: run.queue_position,
  reason: run.reason_title,
});

export const phaseLabel = (phase: Phase): string => (phase === "saving" ? "checkpointing" : phase);

export function stateLabel({ status, phase, attempt, position, reason }: RunState): string {
  switch (status) {
    case "queued":
      return position ? `queued, #${position}` : "queued";
    case "interrupted":
      return position ? `interrupted, #${position} in queue` : "interrupted";
    case "starting":
      return attempt > 1 ? `resuming, attempt ${attempt}` : "starting";
    case "running":
      return phase ? phaseLabel(phase) : "running";
    case "stopping":
      return phase === "saving" ? "stopping, saving" : "stopping";
    case "failed":
      return reason && reason !== "error" ? `failed: ${reason}` : "failed";
    default:
      return status;
  }
}
