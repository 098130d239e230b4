import { Badge } from "@mantine/core";
import type { SweepStatus } from "@/api/types";

const looks: Record<SweepStatus, { label: string; colour: string }> = {
  running: { label: "Running", colour: "blue" },
  paused: { label: "Paused", colour: "orange" },
  done: { label: "Done", colour: "teal" },
  stopped: { label: "Stopped", colour: "yellow" },
  failed: { label: "Failed", colour: "red" },
};

export function SweepStatusBadge({ status }: { status: SweepStatus }) {
  const { label, colour } = looks[status];
  return (
    <Badge variant="light" color={colour} radius="sm" tt="none" miw="max-content" data-status={status}>
      {label}
    </Badge>
  );
}
