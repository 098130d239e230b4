import { Alert, Group, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { healthQuery, workersQuery } from "@/api/queries";
import type { WorkerInfo } from "@/api/types";
import { ApiText } from "@/components/text/ApiText";
import { age, bytes } from "@/components/text/format";

/** Problems of the installation with next steps, and a line of workers. */
export function SystemStrip() {
  const health = useQuery(healthQuery);
  const workers = useQuery(workersQuery);
  const services = health.data
    ? [health.data.database, health.data.broker, health.data.workers, health.data.disk]
    : [];
  const troubles = services.filter((service) => !service.ok);
  const present = (workers.data ?? []).filter((worker) => worker.status !== "stopped");
  return (
    <Stack gap="xs">
      {troubles.length > 0 && (
        <Alert
          color="orange"
          variant="light"
          icon={<IconAlertTriangle size={18} />}
          title="Problem"
          data-testid="degraded"
        >
          <Stack gap={4}>
            {troubles.map((service) => (
              <Text size="sm" key={service.message}>
                <ApiText>{[service.message, service.next_step]}</ApiText>
              </Text>
            ))}
          </Stack>
        </Alert>
      )}
      {present.length > 0 && (
        <Group gap="lg" aria-label="Workers">
          {present.map((worker) => (
            <Text size="xs" c="dimmed" key={worker.name} className="numbers">
              <Text span fw={600} c={worker.status === "online" ? undefined : "orange"}>
                {worker.name}
              </Text>{" "}
              {worker.status} · {worker.busy} of {worker.slots} busy ·{" "}
              {worker.gpus.length ? worker.gpus.map(gpuText).join(", ") : "CPU"}
              {worker.status !== "online" && health.data
                ? ` · last seen ${age(worker.heartbeat_at, health.data.time)}`
                : ""}
            </Text>
          ))}
        </Group>
      )}
    </Stack>
  );
}

function gpuText(gpu: WorkerInfo["gpus"][number]): string {
  const filled = gpu.is_filled ? ", used by other programs" : "";
  return `${gpu.name} (${bytes(gpu.free_bytes)} free${filled})`;
}
