import { Alert, Button, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconChevronDown, IconChevronUp, IconCircleCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { HealthItem, RunDetail, RunStatus } from "@/api/types";
import { ApiText } from "@/components/text/ApiText";
import type { WarningEvent } from "@/features/run/live/timeline";
import { runHealthQuery } from "./queries";

interface AlertBarProps {
  run: RunDetail;
  status: RunStatus;
  warnings: readonly WarningEvent[];
  /** No event for a while: the worker may be gone. */
  isQuiet: boolean;
}

interface Shown {
  key: string;
  severity: HealthItem["severity"];
  message: string;
  cause?: string | null;
  nextStep: string | null | undefined;
  testId: string;
}

const colours: Record<HealthItem["severity"], string> = { error: "red", warning: "yellow", info: "gray" };

/**
 * Problems of the run, in a line that is always present, so that alerts move nothing below it when they come and go.
 * Details show all of them with next steps. If the run had already ended with a problem when the page was opened, that
 * one is shown in full.
 */
export function AlertBar({ run, status, warnings, isQuiet }: AlertBarProps) {
  const health = useQuery(runHealthQuery(run.id, status, isQuiet));
  const trouble = troubleOf(run, status);
  const alerts = [...(trouble ? [trouble] : []), ...found(health.data?.items ?? [], run, warnings)];
  /** The reason that the run had ended with when the page was opened, shown in full. */
  const [opened] = useState(() => (trouble && run.ended_at !== null ? trouble.message : null));
  const [isWhole, setWhole] = useState(false);
  const atOnce = !isWhole && trouble?.message === opened ? alerts.slice(0, 1) : [];
  const inFull = isWhole ? alerts : atOnce;
  const rest = alerts.slice(inFull.length);
  const first = rest[0];
  return (
    <Stack gap={6} data-testid="alerts">
      {atOnce.map((alert) => (
        <FullAlert key={alert.key} alert={alert} />
      ))}
      <div
        className="alert-line"
        data-severity={isWhole ? undefined : first?.severity}
        role="status"
        data-testid={first?.testId}
      >
        {first ? (
          <>
            <IconAlertTriangle size={17} aria-hidden style={{ flexShrink: 0 }} />
            <span className="clip" title={first.message}>
              {first.message}
            </span>
            {rest.length > 1 ? <span className="alert-more">and {rest.length - 1} more</span> : null}
          </>
        ) : (
          <>
            {alerts.length === 0 ? <IconCircleCheck size={17} aria-hidden style={{ flexShrink: 0 }} /> : null}
            <span className="clip">{summary(alerts.length, health.isPending, isWhole)}</span>
          </>
        )}
        {rest.length > 0 || isWhole ? (
          <Button
            size="compact-xs"
            variant="subtle"
            color="gray"
            ml="auto"
            style={{ flexShrink: 0 }}
            aria-expanded={isWhole}
            rightSection={isWhole ? <IconChevronUp size={13} /> : <IconChevronDown size={13} />}
            onClick={() => setWhole(!isWhole)}
          >
            {isWhole ? "Hide" : "Details"}
          </Button>
        ) : null}
      </div>
      {isWhole ? alerts.map((alert) => <FullAlert key={alert.key} alert={alert} />) : null}
    </Stack>
  );
}

function summary(count: number, isPending: boolean, isWhole: boolean): string {
  if (isWhole && count > 0) return count === 1 ? "1 alert" : `${count} alerts`;
  if (isPending) return "Checking the run…";
  return count > 0 ? "No other problems found" : "No problems found";
}

function FullAlert({ alert }: { alert: Shown }) {
  return (
    <Alert
      color={colours[alert.severity]}
      variant="light"
      icon={<IconAlertTriangle size={18} />}
      title={alert.message}
      data-testid={alert.testId}
    >
      {alert.cause ? (
        <Text
          component="pre"
          size="xs"
          m={0}
          mb={4}
          style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}
        >
          {alert.cause}
        </Text>
      ) : null}
      <Text size="sm">
        <ApiText>{[alert.nextStep]}</ApiText>
      </Text>
    </Alert>
  );
}

/** The server's reason why the run ended or is waiting. */
function troubleOf(run: RunDetail, status: RunStatus): Shown | null {
  // The row may be older than the stream: its reason belongs to the row's status.
  if (!run.message || status !== run.status) return null;
  const isBad = status === "failed";
  if (!isBad && status !== "interrupted" && status !== "stopped") return null;
  return {
    key: "trouble",
    severity: isBad ? "error" : "warning",
    message: run.message,
    cause: run.cause,
    nextStep: run.next_step,
    testId: "run-trouble",
  };
}

function found(items: readonly HealthItem[], run: RunDetail, warnings: readonly WarningEvent[]): Shown[] {
  // A warning that the server's health check repeats is shown once, and so is the end of a diverged run.
  const others = warnings.filter(({ message }) => !items.some((item) => item.message.startsWith(message)));
  return [
    ...items
      .filter((item) => item.code !== "loss_nan" || run.reason !== "nan_loss")
      .map(({ code, step, severity, message, next_step }) => ({
        ...{ key: `${code}-${step}`, severity, message },
        ...{ nextStep: next_step, testId: `health-${code}` },
      })),
    ...others.map((warning) => ({
      ...{ key: `warning-${warning.seq}`, severity: "warning" as const, message: warning.message },
      ...{ nextStep: warning.next_step, testId: `warning-${warning.code}` },
    })),
  ];
}
