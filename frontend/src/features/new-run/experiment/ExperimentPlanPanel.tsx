import { Alert, Button, Loader, Stack, Table, Text } from "@mantine/core";
import { IconAlertTriangle, IconRocket } from "@tabler/icons-react";
import type { ExperimentVerdict } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { count, roughly } from "@/components/text/format";
import { plural } from "@/components/text/plural";

interface ExperimentPlanPanelProps {
  plan: ExperimentVerdict["plan"] | undefined;
  isChecking: boolean;
  /** Problems that don't belong to a field of the form. */
  problems: readonly string[];
  canLaunch: boolean;
  isBusy: boolean;
  onLaunch: () => void;
}

/** How many runs the experiment makes and how long they take, and the button that launches it. */
export function ExperimentPlanPanel({
  plan,
  isChecking,
  problems,
  canLaunch,
  isBusy,
  onLaunch,
}: ExperimentPlanPanelProps) {
  return (
    <Panel
      title="Plan"
      actions={isChecking ? <Loader size={16} role="status" aria-label="Checking" /> : undefined}
    >
      <Stack gap="sm">
        {plan ? (
          <div style={{ opacity: canLaunch ? 1 : 0.55 }}>
            <Text fw={600} data-testid="planned-runs">
              {plural(plan.trials, "run")}
              {plan.total_s === null ? "" : `, ${roughly(plan.total_s)}`}
            </Text>
            <Text size="xs" c="dimmed" mb="xs">
              {plan.total_s === null
                ? "Duration unknown: no earlier run had this model, text length and batch size."
                : plan.slots
                  ? `With the ${plural(plan.slots, "slot")} of the workers that are online.`
                  : "On one worker; none is online now."}{" "}
              If the best rate is at the edge of the range, more rates are tried for every method.
            </Text>
            <Table.ScrollContainer minWidth={320} type="native" tabIndex={0}>
              <Table className="numbers" withRowBorders={false} verticalSpacing={3}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Variant</Table.Th>
                    <Table.Th ta="right">To tune</Table.Th>
                    <Table.Th ta="right">To test</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {plan.items.map((item) => (
                    <Table.Tr key={item.variant}>
                      <Table.Td style={{ overflowWrap: "anywhere" }}>{item.variant}</Table.Td>
                      <Table.Td ta="right">{item.tuning ? count(item.tuning) : ""}</Table.Td>
                      <Table.Td ta="right">{count(item.test)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
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
          data-testid="launch-experiment"
        >
          Launch experiment
        </Button>
      </Stack>
    </Panel>
  );
}
