import { Badge } from "@mantine/core";
import type { ExperimentStatus, SweepStatus } from "@/api/types";

const looks: Record<ExperimentStatus | SweepStatus, { label: string; colour: string }> = {
  running: { label: "Running", colour: "blue" },
  tuning: { label: "Tuning", colour: "blue" },
  testing: { label: "Testing", colour: "blue" },
  paused: { label: "Paused", colour: "orange" },
  done: { label: "Done", colour: "teal" },
  stopped: { label: "Stopped", colour: "yellow" },
  failed: { label: "Failed", colour: "red" },
};

/** The state of a sweep or an experiment. */
export function TrialsStatus({ status }: { status: ExperimentStatus | SweepStatus }) {
  const { label, colour } = looks[status];
  return (
    <Badge variant="light" color={colour} radius="sm" tt="none" miw="max-content" data-status={status}>
      {label}
    </Badge>
  );
}
