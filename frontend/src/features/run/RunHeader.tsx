import { Anchor, Badge, Group, Paper, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { isActive } from "@/api/active-runs";
import type { Connection } from "@/api/event-stream";
import type { RunDetail, RunStatus } from "@/api/types";
import { MethodName } from "@/components/runs/MethodName";
import { StepProgress } from "@/components/runs/Progress";
import { phaseLabel } from "@/components/runs/run-state";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { useRunActions } from "@/components/runs/use-run-actions";
import { useServerNow } from "@/components/server/use-server-now";
import { EditableName } from "@/components/text/EditableName";
import {
  age,
  count,
  dateTime,
  duration,
  metric,
  missing,
  roughly,
  shortCount,
} from "@/components/text/format";
import { RunActions } from "@/features/run/actions/RunActions";
import type { LiveRun } from "@/features/run/live/live-run";

interface RunHeaderProps {
  run: RunDetail;
  live: LiveRun;
  status: RunStatus;
  connection: Connection;
}

export function RunHeader({ run, live, status, connection }: RunHeaderProps) {
  const { rename } = useRunActions();
  const step = Math.max(live.lastSeq >= run.last_seq ? live.step : run.step, 0);
  const ranked = live.snapshots.at(-1);
  const meanRank = ranked && live.modules.length ? ranked.live / live.modules.length : run.mean_rank;
  const updatedAt = Math.max(run.updated_at, live.heardAt);
  const { headline } = run;
  const phase = live.lastSeq >= run.last_seq ? live.phase : run.phase;
  return (
    <Stack gap="sm">
      <Group gap="md">
        <Anchor component={Link} to="/" size="xs" c="dimmed" w="fit-content">
          All runs
        </Anchor>
        {run.parent_id ? (
          <Anchor
            component={Link}
            to={`/runs/${run.parent_id}`}
            size="xs"
            c="dimmed"
            data-testid="forked-from"
          >
            Forked from {run.parent_id} at step {count(run.parent_step)}
          </Anchor>
        ) : null}
        {run.environment.imported_from ? (
          <Text size="xs" c="dimmed" data-testid="imported-from">
            Imported, originally run {run.environment.imported_from}
          </Text>
        ) : null}
      </Group>
      <Group justify="space-between" align="flex-start" gap="sm">
        <Group gap="sm" align="center" className="run-title">
          <EditableName
            name={run.name}
            label="Name of the run"
            onRename={(name) => rename.mutate({ id: run.id, name })}
          />
          <StatusBadge
            state={{
              status,
              phase,
              attempt: live.lastSeq >= run.last_seq ? live.attempt : run.attempt,
              // The row is polled: its position and reason belong to the row's status.
              ...(status === run.status ? { position: run.queue_position, reason: run.reason_title } : {}),
            }}
            testId="run-status"
          />
          <ConnectionBadge connection={connection} />
        </Group>
        <RunActions run={run} status={status} />
      </Group>
      <Paper withBorder radius="md" px="md" py="sm">
        <div className="facts">
          <Fact label="Step" wide>
            <span data-testid="run-step" data-step={step}>
              <StepProgress
                step={step}
                total={live.totalSteps ?? run.total_steps}
                isActive={isActive(status)}
                hint={etaText(run, status, step)}
              />
            </span>
          </Fact>
          <Fact label="Phase">{isActive(status) && phase ? phaseLabel(phase) : missing}</Fact>
          <Fact
            label={`Best ${headline.title}`}
            hint={headline.best_step === null ? undefined : `step ${headline.best_step}`}
          >
            {metric(headline.best)}
          </Fact>
          <Fact
            label="Live components"
            hint={meanRank === null ? undefined : `mean rank ${meanRank.toFixed(2)}`}
          >
            {count(ranked?.live ?? run.live)}
          </Fact>
          <Fact
            label={run.kept_parameters === null ? "Trained" : "Kept"}
            hint={
              run.kept_parameters === null ? "parameters" : `of ${shortCount(run.trained_parameters)} trained`
            }
          >
            {shortCount(run.kept_parameters ?? run.trained_parameters)}
          </Fact>
          <Fact label="Attempt" hint={run.worker ?? undefined}>
            {run.attempt || missing}
          </Fact>
          <Fact
            label={run.ended_at ? "Took" : "Updated"}
            hint={run.ended_at ? dateTime(run.ended_at) : undefined}
          >
            {run.ended_at ? duration(tookSeconds(run, run.ended_at)) : <Updated at={updatedAt} />}
          </Fact>
          <Fact label="Method" hint={`${run.model_id} · ${run.data_id}`}>
            <MethodName name={run.method} />
          </Fact>
        </div>
      </Paper>
    </Stack>
  );
}

/** The server's estimate, adjusted to the current step. */
function etaText(run: RunDetail, status: RunStatus, step: number): string {
  if (status === "running" && run.eta_s !== null) {
    const left = (run.total_steps ?? step) - run.step;
    const share = left > 0 ? Math.max(0, left - (step - run.step)) / left : 1;
    return `about ${roughly(run.eta_s * share)} left`;
  }
  return status === "running" ? "estimating" : "";
}

function Fact({
  label,
  hint,
  wide,
  children,
}: {
  label: string;
  hint?: string | undefined;
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={wide ? "fact fact-wide" : "fact"}>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text component="div" fw={600} size="sm" className="numbers clip">
        {children}
      </Text>
      <Text size="xs" c="dimmed" className="numbers clip" title={hint}>
        {hint ?? "\u00a0"}
      </Text>
    </div>
  );
}

function Updated({ at }: { at: number }) {
  const now = useServerNow();
  return <span title={dateTime(at)}>{age(at, now)}</span>;
}

const connections: Record<Exclude<Connection, "ended">, { colour: string; text: string }> = {
  connecting: { colour: "gray", text: "connecting" },
  live: { colour: "teal", text: "live" },
  reconnecting: { colour: "orange", text: "reconnecting" },
};

function ConnectionBadge({ connection }: { connection: Connection }) {
  // A run that has ended has no stream; its status shows that.
  if (connection === "ended") return null;
  const { colour, text } = connections[connection];
  return (
    <Badge
      variant="outline"
      color={colour}
      tt="none"
      radius="sm"
      fw={500}
      data-testid="connection-state"
      data-state={connection}
      role="status"
      style={{ flexShrink: 0 }}
    >
      {text}
    </Badge>
  );
}

/** Duration of all attempts, without the time between them. */
const tookSeconds = (run: RunDetail, endedAt: number): number =>
  run.attempts.reduce((sum, attempt) => sum + (attempt.ended_at ?? endedAt) - attempt.started_at, 0);
