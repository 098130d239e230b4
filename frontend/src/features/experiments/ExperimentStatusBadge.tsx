import { Badge } from "@mantine/core";
import type { ExperimentStatus } from "@/api/types";

const looks: Record<ExperimentStatus, { label: string; colour: string }> = {
  tuning: { label: "Tuning", colour: "blue" },
  testing: { label: "Testing", colour: "blue" },
  paused: { label: "Paused", colour: "orange" },
  done: { label: "Done", colour: "teal" },
  stopped: { label: "Stopped", colour: "yellow" },
  failed: { label: "Failed", colour: "red" },
};

export function ExperimentStatusBadge({ status }: { status: ExperimentStatus }) {
  const { label, colour } = looks[status];
  return (
    <Badge variant="light" color={colour} radius="sm" tt="none" miw="max-content" data-status={status}>
      {label}
    </Badge>
  );
}
