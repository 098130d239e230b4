import { Alert, Button, Loader, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconRocket } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Panel } from "@/components/layout/Panel";
import { roughly } from "@/components/text/format";
import { plural } from "@/components/text/plural";

export interface TrialsPlanPanelProps<Plan> {
  plan: Plan | undefined;
  isChecking: boolean;
  /** Problems that don't belong to a field of the form. */
  problems: readonly string[];
  /** What has to be entered first. */
  missing: readonly string[];
  canLaunch: boolean;
  isBusy: boolean;
  onLaunch: () => void;
}

interface FrameProps
  extends TrialsPlanPanelProps<{ total_s: number | null; slots: number; warnings: string[] }> {
  noun: "sweep" | "experiment";
  /** Numbers of points and runs. */
  size: string;
  /** After the sentence about the duration. */
  note: ReactNode;
  children: ReactNode;
}

/** How many runs there will be and how long they take, and the button that launches them. */
export function TrialsPlanPanel({ noun, plan, size, note, children, ...state }: FrameProps) {
  const { isChecking, problems, missing, canLaunch, isBusy, onLaunch } = state;
  return (
    <Panel
      title="Plan"
      actions={isChecking ? <Loader size={16} role="status" aria-label="Checking" /> : undefined}
    >
      <Stack gap="sm">
        {plan ? (
          <div style={{ opacity: canLaunch ? 1 : 0.55 }}>
            <Text fw={600} data-testid="planned-size">
              {size}
              {plan.total_s === null ? "" : `, ${roughly(plan.total_s)}`}
            </Text>
            <Text size="xs" c="dimmed" mb="xs">
              {plan.total_s === null
                ? "Duration unknown: no earlier run had this model, text length and batch size."
                : plan.slots
                  ? `With the ${plural(plan.slots, "slot")} of the workers that are online.`
                  : "On one worker; none is online now."}{" "}
              {note}
            </Text>
            {children}
          </div>
        ) : null}
        {plan?.warnings.map((warning) => (
          <Alert key={warning} color="yellow" variant="light" icon={<IconAlertTriangle size={18} />} py="xs">
            {warning}
          </Alert>
        ))}
        {problems.map((problem) => (
          <Text key={problem} size="sm" c="red" role="alert">
            {problem}
          </Text>
        ))}
        {missing.map((sentence) => (
          <Text key={sentence} size="sm" c="dimmed">
            {sentence}
          </Text>
        ))}
        <Button
          size="md"
          fullWidth
          leftSection={<IconRocket size={18} />}
          onClick={onLaunch}
          loading={isBusy}
          disabled={!canLaunch}
          data-testid={`launch-${noun}`}
        >
          {`Launch ${noun}`}
        </Button>
      </Stack>
    </Panel>
  );
}
