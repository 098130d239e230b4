import { Alert, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { runHealthQuery } from "@/api/queries";
import type { HealthItem, RunStatus } from "@/api/types";
import { Words } from "@/components/Words";

const colours: Record<HealthItem["severity"], string> = { error: "red", warning: "yellow", info: "gray" };

/** What looks wrong with the run, each with what to do; nothing when nothing does. */
export function HealthPanel({ id, status }: { id: string; status: RunStatus }) {
  const isMoving = status === "running" || status === "starting" || status === "stopping";
  const health = useQuery(runHealthQuery(id, isMoving));
  const items = health.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <Stack gap="xs" data-testid="health">
      {items.map((item) => (
        <Alert
          key={`${item.code}-${item.step}`}
          color={colours[item.severity]}
          variant="light"
          icon={item.severity === "info" ? <IconInfoCircle size={18} /> : <IconAlertTriangle size={18} />}
          title={item.message}
          data-testid={`health-${item.code}`}
        >
          <Text size="sm">
            <Words>{item.next_step}</Words>
          </Text>
        </Alert>
      ))}
    </Stack>
  );
}
