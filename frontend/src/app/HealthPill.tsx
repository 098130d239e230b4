import {
  Badge,
  Box,
  Divider,
  Group,
  Popover,
  Stack,
  Text,
  UnstyledButton,
  VisuallyHidden,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { healthQuery, workersQuery } from "@/api/queries";
import type { WorkerInfo } from "@/api/types";
import { useLink } from "@/components/server/use-link";
import { ApiText } from "@/components/text/ApiText";
import { age } from "@/components/text/format";
import { plural } from "@/components/text/plural";

/** Workers and services at a glance, with problems and next steps in a popover. */
export function HealthPill() {
  const health = useQuery(healthQuery);
  const workers = useQuery(workersQuery);
  const online = (workers.data ?? []).filter((worker) => worker.status === "online");
  const slots = online.reduce((sum, worker) => sum + worker.slots, 0);
  const busy = online.reduce((sum, worker) => sum + worker.busy, 0);
  const { isReachable } = useLink();
  const [colour, text, short] = !isReachable
    ? ["red", "Server unreachable", "Offline"]
    : !health.data || !workers.data
      ? ["gray", health.error ? "Unknown" : "Checking", "…"]
      : online.length === 0
        ? ["orange", "No worker online", "No worker"]
        : health.data.status === "degraded"
          ? ["orange", "Problem", "Problem"]
          : [
              "teal",
              `${plural(online.length, "worker")}, ${busy === 0 ? "idle" : `${busy} of ${plural(slots, "slot")} busy`}`,
              busy === 0 ? "idle" : `${busy}/${slots} busy`,
            ];
  return (
    <Popover position="bottom-end" width={320} withArrow arrowPosition="center" shadow="md">
      <Popover.Target>
        <UnstyledButton data-testid="health-pill" style={{ flexShrink: 0 }}>
          <Badge
            variant="light"
            color={colour}
            size="lg"
            radius="xl"
            tt="none"
            fw={600}
            leftSection={<span className="dot" aria-hidden />}
            style={{ cursor: "pointer" }}
          >
            <VisuallyHidden>Workers and services: </VisuallyHidden>
            <span className="numbers">
              <Box component="span" visibleFrom="sm">
                {text}
              </Box>
              <Box component="span" hiddenFrom="sm">
                {short}
              </Box>
            </span>
          </Badge>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs">
          {health.data ? (
            <>
              <Service name="Database" {...health.data.database} />
              <Service name="Broker" {...health.data.broker} />
              <Service name="Workers" {...health.data.workers} />
              <Service name="Disk" {...health.data.disk} />
              <Divider />
              {(workers.data ?? []).map((worker) => (
                <Worker key={worker.name} worker={worker} now={health.data.time} />
              ))}
              <Text size="xs" c="dimmed">
                RankScope {health.data.version}
              </Text>
            </>
          ) : (
            <Text size="sm">{health.error?.message ?? "Waiting for the server"}</Text>
          )}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function Service({
  name,
  ok,
  message,
  next_step,
}: {
  name: string;
  ok: boolean;
  message: string;
  next_step?: string;
}) {
  return (
    <div>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" fw={600}>
          {name}
        </Text>
        <Badge size="sm" variant="light" color={ok ? "teal" : "orange"} tt="none">
          {ok ? "OK" : "Needs attention"}
        </Badge>
      </Group>
      <Text size="xs" c="dimmed">
        <ApiText>{[message, next_step]}</ApiText>
      </Text>
    </div>
  );
}

function Worker({ worker, now }: { worker: WorkerInfo; now: number }) {
  return (
    <div>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" className="clip">
          {worker.name}
        </Text>
        <Text size="xs" className="numbers" c="dimmed">
          {worker.busy}/{worker.slots} {worker.gpus.length ? `· ${worker.gpus.length} GPU` : "· CPU"}
        </Text>
      </Group>
      <Text size="xs" c="dimmed">
        {worker.status}, last seen {age(worker.heartbeat_at, now)}
      </Text>
    </div>
  );
}
