import { Alert, Button, Loader, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconRocket } from "@tabler/icons-react";
import type { SweepVerdict } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { configValue, count, roughly } from "@/components/text/format";
import { plural } from "@/components/text/plural";

interface SweepPlanPanelProps {
  plan: SweepVerdict["plan"] | undefined;
  isChecking: boolean;
  /** Problems that don't belong to a field of the form. */
  problems: readonly string[];
  canLaunch: boolean;
  isBusy: boolean;
  onLaunch: () => void;
}

/** How many runs the sweep makes, how long they take, some of its points, and the button that launches it. */
export function SweepPlanPanel({
  plan,
  isChecking,
  problems,
  canLaunch,
  isBusy,
  onLaunch,
}: SweepPlanPanelProps) {
  return (
    <Panel
      title="Plan"
      actions={isChecking ? <Loader size={16} role="status" aria-label="Checking" /> : undefined}
    >
      <Stack gap="sm">
        {plan ? (
          <div style={{ opacity: canLaunch ? 1 : 0.55 }}>
            <Text fw={600} data-testid="planned-trials">
              {plural(plan.points, "point")}, {plural(plan.trials, "run")}
              {plan.total_s === null ? "" : `, ${roughly(plan.total_s)}`}
            </Text>
            <Text size="xs" c="dimmed" mb="xs">
              {plan.total_s === null
                ? "Duration unknown: no earlier run had this model, text length and batch size."
                : plan.slots
                  ? `With the ${plural(plan.slots, "slot")} of the workers that are online.`
                  : "On one worker; none is online now."}{" "}
              Ranked by {plan.metric.title}.
              {plan.rungs.length ? ` Points are compared at steps ${plan.rungs.map(count).join(", ")}.` : ""}
            </Text>
            <Text size="xs" fw={600}>
              First points
            </Text>
            <ul className="plain-examples">
              {plan.examples.slice(0, 5).map((values) => (
                <li key={JSON.stringify(values)}>
                  <Text size="xs" className="numbers" style={{ overflowWrap: "anywhere" }}>
                    {Object.entries(values)
                      .map(([name, value]) => `${name} = ${configValue(value)}`)
                      .join(", ")}
                  </Text>
                </li>
              ))}
            </ul>
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
        <Button
          size="md"
          fullWidth
          leftSection={<IconRocket size={18} />}
          onClick={onLaunch}
          loading={isBusy}
          disabled={!canLaunch}
          data-testid="launch-sweep"
        >
          Launch sweep
        </Button>
      </Stack>
    </Panel>
  );
}
