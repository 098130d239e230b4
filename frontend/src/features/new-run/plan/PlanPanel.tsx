import { Alert, Anchor, Button, Loader, Skeleton, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconRocket } from "@tabler/icons-react";
import { type ReactNode, useMemo } from "react";
import type { Plan } from "@/api/types";
import { budgetFigure } from "@/charts/figures/budget";
import { useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { count, missing, shortCount } from "@/components/text/format";
import { DataUse } from "./DataUse";
import { Preflight } from "./Preflight";

interface PlanPanelProps {
  plan: Plan | undefined;
  isChecking: boolean;
  /** Number of fields with problems. */
  problems: number;
  /** The plan is not of the current configuration, so launching is disabled. */
  isOutdated: boolean;
  /** What must happen before it can be launched; empty while it is being checked. */
  waits: string;
  isBusy: boolean;
  onLaunch: () => void;
  /** Applies changes that make the run fit, by dotted field. */
  onApply: (changes: Record<string, unknown>) => void;
  /** Measures the time of the plan. */
  measure: ReactNode;
  /** Label of the button. */
  action: string;
  /** Why the method has no planned budget; shown if the plan has none. */
  withoutBudget: string;
}

const curveHeight = 190;

/** The API's plan for the configuration, and the launch button. */
export function PlanPanel({
  plan,
  isChecking,
  problems,
  isOutdated,
  waits,
  isBusy,
  onLaunch,
  onApply,
  measure,
  action,
  withoutBudget,
}: PlanPanelProps) {
  const look = useLook();
  const figure = useMemo(
    () =>
      budgetFigure({
        planned: plan?.planned_budget ?? [],
        frames: [],
        look,
        totalSteps: plan?.total_steps ?? null,
      }),
    [plan, look],
  );
  const facts: [string, string][] = [
    ["Steps", count(plan?.total_steps)],
    ["Modules", count(plan?.n_modules)],
    ["Prunings", plan ? count(plan.pruning_count) : missing],
    ["Model parameters", shortCount(plan?.model_parameters)],
    ["Trainable at the start", shortCount(plan?.trained_parameters)],
    ["Kept (estimate)", shortCount(plan?.kept_parameters)],
  ];
  return (
    <Panel
      title="Plan"
      actions={isChecking ? <Loader size={16} role="status" aria-label="Checking" /> : undefined}
    >
      <Stack gap="sm" style={{ opacity: plan && (problems || waits) ? 0.55 : 1 }}>
        <dl className="plan-facts numbers">
          {facts.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {plan ? <Preflight checks={plan.preflight} onApply={onApply} measure={measure} /> : null}
        {plan ? <DataUse plan={plan} /> : null}
        <div>
          <Text size="xs" c="dimmed" mb={4}>
            Live components, planned
            {plan && plan.pruning_count > plan.pruning_steps.length
              ? `; ${count(plan.pruning_steps.length)} of ${count(plan.pruning_count)} prunings shown`
              : ""}
          </Text>
          {!plan ? (
            <Skeleton height={curveHeight} animate={isChecking} />
          ) : plan.planned_budget.length ? (
            <Plot figure={figure} height={curveHeight} label="Planned number of live components by step." />
          ) : (
            <Text size="sm" c="dimmed" h={curveHeight}>
              {withoutBudget}
            </Text>
          )}
        </div>
      </Stack>
      <Stack gap="sm" mt="sm" className="plan-launch">
        {plan?.warnings.length ? (
          <Stack gap="xs" className="plan-warnings">
            {plan.warnings.map((warning) => (
              <Alert
                key={warning}
                color="yellow"
                variant="light"
                icon={<IconAlertTriangle size={18} />}
                py="xs"
              >
                {warning}
              </Alert>
            ))}
          </Stack>
        ) : null}
        {problems ? (
          <Text size="sm" c="red" role="status">
            {problems === 1
              ? "One field needs a change before this can run."
              : `${problems} fields need a change before this can run.`}{" "}
            <Anchor component="button" type="button" size="sm" onClick={showFirstProblem}>
              Show {problems === 1 ? "it" : "the first"}
            </Anchor>
          </Text>
        ) : null}
        {waits ? (
          <Text size="sm" c="red" role="status">
            {waits}
          </Text>
        ) : null}
        <Button
          size="md"
          fullWidth
          leftSection={<IconRocket size={18} />}
          onClick={onLaunch}
          loading={isBusy}
          disabled={problems > 0 || isOutdated}
          data-testid="launch-run"
        >
          {action}
        </Button>
      </Stack>
    </Panel>
  );
}

/** Scrolls to the first field with an error, on a phone several screens above, and focuses its input. */
function showFirstProblem() {
  const field = document.querySelector(".mantine-InputWrapper-error")?.closest(".mantine-InputWrapper-root");
  (field ?? document.querySelector("[role=alert]"))?.scrollIntoView({ block: "center" });
  field?.querySelector<HTMLElement>("input, textarea, button")?.focus({ preventScroll: true });
}
