import { Alert, Button, Group, Text } from "@mantine/core";
import { count } from "@/components/text/format";

interface SteeringNoticeProps {
  /** `steering` of the draft, unchecked: the API validates it. */
  steering: unknown;
  onRemove: () => void;
}

/** A copy of a steered run repeats the steering; shown because the form has no field for it. */
export function SteeringNotice({ steering, onRemove }: SteeringNoticeProps) {
  if (!Array.isArray(steering) || steering.length === 0) return null;
  return (
    <Alert
      color="yellow"
      variant="light"
      py="xs"
      title="Repeats the steering of another run"
      data-testid="steering-notice"
    >
      <Group justify="space-between" align="flex-start" gap="xs">
        <Text size="sm">{steering.map(said).join(" · ")}</Text>
        <Button size="compact-xs" variant="default" onClick={onRemove}>
          Launch without it
        </Button>
      </Group>
    </Alert>
  );
}

function said(entry: unknown): string {
  if (typeof entry !== "object" || entry === null) return String(entry);
  const { step, action, target_rank: rank } = entry as Record<string, unknown>;
  return `step ${typeof step === "number" ? count(step) : String(step)}: ${String(action)}${rank ? ` ${String(rank)}` : ""}`;
}
