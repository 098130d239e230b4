import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { PreflightChecks } from "@/api/types";
import { bytes, roughly } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { barOf } from "./memory-bar";

type Memory = NonNullable<PreflightChecks["memory"]>;
type Saving = Memory["savings"][number];

interface PreflightProps {
  checks: PreflightChecks;
  /** Applies changes to the configuration, by dotted field. */
  onApply: (changes: Saving["changes"]) => void;
  /** Measures the time where it is unknown. */
  measure?: ReactNode;
}

/** Whether the run fits memory and disk, and how long it takes, before it is launched. */
export function Preflight({ checks, onApply, measure }: PreflightProps) {
  const { memory, time, disk } = checks;
  return (
    <Stack gap={8} data-testid="preflight">
      {memory ? <MemoryUse memory={memory} onApply={onApply} /> : null}
      <Text size="sm" className="numbers">
        {time ? (
          <>
            About {roughly(time.total_s)}
            {time.includes_evaluations ? "" : " without evaluations"}, {perStep(time.step_s)} per step
            <Text span size="xs" c="dimmed">
              {" "}
              ({basis(time)})
            </Text>
          </>
        ) : (
          <Text span size="xs" c="dimmed">
            Time: unknown until a run with this model, method, batch and length has finished or been measured.
          </Text>
        )}
      </Text>
      {measure}
      {disk ? <DiskUse disk={disk} /> : null}
    </Stack>
  );
}

function MemoryUse({ memory, onApply }: { memory: Memory; onApply: PreflightProps["onApply"] }) {
  const { parts, limit } = barOf(memory);
  const isProblem = memory.fit !== "fits" && memory.fit !== "unknown";
  return (
    <div>
      <Group justify="space-between" gap="xs" wrap="nowrap" align="baseline">
        <Text size="xs" c="dimmed">
          Memory, estimated ({memory.device === "gpu" ? "GPU" : "CPU"}, rows of {memory.tokens} tokens)
        </Text>
        <Text size="sm" fw={600} className="numbers" style={{ whiteSpace: "nowrap" }}>
          {bytes(memory.total_bytes)}
        </Text>
      </Group>
      <div
        className="memory-bar"
        role="img"
        aria-label={parts.map((part) => `${part.title} ${bytes(part.bytes)}`).join(", ")}
      >
        {parts.map((part) => (
          <div
            key={part.name}
            className={`memory-${part.name}`}
            style={{ width: `${part.percent}%` }}
            title={`${part.title}: ${bytes(part.bytes)}`}
          />
        ))}
        {limit === null ? null : (
          <div
            className="memory-limit"
            style={{ left: `${limit}%` }}
            title={`Free: ${bytes(memory.free_bytes ?? 0)}`}
          />
        )}
      </div>
      <ul className="memory-parts numbers">
        {parts.map((part) => (
          <li key={part.name}>
            <span className={`memory-key memory-${part.name}`} aria-hidden />
            {part.title} <b>{bytes(part.bytes)}</b>
          </li>
        ))}
      </ul>
      {isProblem ? (
        <Alert
          color={memory.fit === "too_large" ? "red" : "yellow"}
          variant="light"
          icon={<IconAlertTriangle size={18} />}
          py="xs"
          mt={6}
          role="status"
        >
          <Text size="sm">{memory.message}</Text>
          {memory.savings.length ? (
            <Group gap={6} mt={6}>
              {memory.savings.map((saving) => (
                <Button
                  key={saving.label}
                  size="compact-xs"
                  variant="default"
                  onClick={() => onApply(saving.changes)}
                  title={
                    saving.effect === "same_result"
                      ? "Computes the same, except for rounding and random dropout."
                      : "Changes what the run computes."
                  }
                >
                  {saving.label} ({bytes(saving.total_bytes)})
                </Button>
              ))}
            </Group>
          ) : null}
        </Alert>
      ) : (
        <Text size="xs" c="dimmed" mt={4}>
          {memory.message}
          {memory.is_measured ? " Corrected by the measurement." : ""}
          {memory.based_on
            ? ` Corrected by the measured peaks of ${plural(memory.based_on, "earlier run")}.`
            : ""}
        </Text>
      )}
    </div>
  );
}

function DiskUse({ disk }: { disk: NonNullable<PreflightChecks["disk"]> }) {
  if (!disk.fits) {
    return (
      <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} py="xs" role="status">
        {disk.message}
      </Alert>
    );
  }
  return (
    <Text size="xs" c="dimmed">
      {disk.message}
    </Text>
  );
}

function basis({ based_on, probe }: NonNullable<PreflightChecks["time"]>): string {
  const measured = probe
    ? `${plural(probe.steps, "step")} measured on ${probe.device_name}${probe.peak_bytes ? `, peak ${bytes(probe.peak_bytes)}` : ""}`
    : null;
  if (!based_on) return measured ?? "";
  const runs = `median of ${plural(based_on, "earlier run")} of this shape`;
  return measured ? `${runs}, and of ${measured}` : runs;
}

const perStep = (seconds: number): string =>
  seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
