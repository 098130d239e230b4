import { Badge } from "@mantine/core";
import type { RunStatus } from "@/api/types";

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

const moving: readonly RunStatus[] = ["starting", "running", "stopping"];

interface StatusBadgeProps {
  status: RunStatus;
  position?: number | null;
  testId?: string;
}

/** The word always stands beside the colour. */
export function StatusBadge({ status, position, testId }: StatusBadgeProps) {
  return (
    <Badge
      variant="light"
      color={colours[status]}
      size="md"
      radius="sm"
      tt="none"
      fw={600}
      className="status-badge"
      leftSection={<span className={moving.includes(status) ? "dot dot-moving" : "dot"} aria-hidden />}
      data-status={status}
      {...(testId ? { "data-testid": testId } : {})}
    >
      {status}
      {position ? <span className="status-position"> #{position}</span> : null}
    </Badge>
  );
}
