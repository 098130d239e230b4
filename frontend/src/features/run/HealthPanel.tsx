import { Alert, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { runHealthQuery } from "@/api/queries";
import type { HealthItem, RunStatus } from "@/api/types";
import { Words } from "@/components/Words";
import type { WarningEvent } from "./timeline";

const colours: Record<HealthItem["severity"], string> = { error: "red", warning: "yellow", info: "gray" };

interface HealthPanelProps {
  id: string;
  status: RunStatus;
  /** Why the run ended, which stands above. */
  endedBy: string | null;
  warnings: readonly WarningEvent[];
  /** No event has come for a while: its worker may be gone. */
  isQuiet: boolean;
}

/** What looks wrong with the run, each with what to do; nothing when nothing does. */
export function HealthPanel({ id, status, endedBy, warnings, isQuiet }: HealthPanelProps) {
  const health = useQuery(runHealthQuery(id, status, isQuiet ? 20_000 : 60_000));
  const found = health.data?.items ?? [];
  const items = found.filter((item) => item.code !== "loss_nan" || endedBy !== "nan_loss");
  // Where the training has warned of a condition, the server begins with its words: they stand here once.
  const others = warnings.filter(({ message }) => !found.some((item) => item.message.startsWith(message)));
  if (items.length + others.length === 0) return null;
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
      {others.map((warning) => (
        <Alert key={warning.seq} color="yellow" variant="light" icon={<IconAlertTriangle size={18} />}>
          <Words>{[warning.message, warning.next_step]}</Words>
        </Alert>
      ))}
    </Stack>
  );
}
