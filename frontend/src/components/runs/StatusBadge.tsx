import { Badge } from "@mantine/core";
import { isActive } from "@/api/active-runs";
import type { RunStatus } from "@/api/types";
import { type RunState, stateLabel } from "./run-state";

const colours: Record<RunStatus, string> = {
  queued: "gray",
  starting: "cyan",
  running: "blue",
  stopping: "orange",
  done: "teal",
  stopped: "yellow",
  interrupted: "orange",
  failed: "red",
};

interface StatusBadgeProps {
  state: RunState;
  testId?: string;
}

/** The status as text and colour. */
export function StatusBadge({ state, testId }: StatusBadgeProps) {
  const { status } = state;
  const label = stateLabel(state);
  return (
    <Badge
      variant="light"
      color={colours[status]}
      size="md"
      radius="sm"
      tt="none"
      fw={600}
      className="status-badge"
      leftSection={<span className={isActive(status) ? "dot dot-moving" : "dot"} aria-hidden />}
      data-status={status}
      title={label}
      {...(testId ? { "data-testid": testId } : {})}
    >
      {label}
    </Badge>
  );
}
