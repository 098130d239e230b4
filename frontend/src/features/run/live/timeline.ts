/** The events of a run as sentences, without the metrics. */
import { http, unwrap } from "@/api/client";
import type { RunEvent, SteerAction } from "@/api/types";
import { bytes, configValue, count } from "@/components/text/format";

const kinds = ["status", "warning", "checkpoint", "artifact", "steer", "config"] as const;

export type TimelineEvent = Extract<RunEvent, { kind: (typeof kinds)[number] }>;

export const isTimeline = (event: RunEvent): event is TimelineEvent =>
  (kinds as readonly string[]).includes(event.kind);

const pageSize = 2000;
const mostPages = 5;

export interface Timeline {
  events: TimelineEvent[];
  /** Last event that was read; not the run's last if the run is very long. */
  readTo: number;
  isWhole: boolean;
}

/** Status changes, warnings, checkpoints and results among the first events of a run. */
export async function loadTimeline(id: string, signal: AbortSignal): Promise<Timeline> {
  const events: TimelineEvent[] = [];
  let after = 0;
  for (let page = 0; page < mostPages; page++) {
    const part = await unwrap(
      http.GET("/api/v1/runs/{run_id}/events", {
        signal,
        params: { path: { run_id: id }, query: { after, limit: pageSize, kind: [...kinds] } },
      }),
    );
    events.push(...part.items.filter(isTimeline));
    after = part.items.at(-1)?.seq ?? after;
    if (!part.has_more) return { events, readTo: after, isWhole: true };
  }
  return { events, readTo: after, isWhole: false };
}

/** Both lists in order, each event once. */
export function mergeTimeline(
  past: readonly TimelineEvent[],
  live: readonly TimelineEvent[],
): TimelineEvent[] {
  const bySeq = new Map([...past, ...live].map((event) => [event.seq, event]));
  return [...bySeq.values()].sort((one, other) => one.seq - other.seq);
}

export type WarningEvent = Extract<TimelineEvent, { kind: "warning" }>;

/** Current warnings: a later checkpoint clears the warning about a failed one. */
export function standingWarnings(events: readonly TimelineEvent[]): WarningEvent[] {
  const lastCheckpoint = events.findLast((event) => event.kind === "checkpoint")?.seq ?? 0;
  return events
    .filter((event) => event.kind === "warning")
    .filter((event) => event.code !== "checkpoint_failed" || event.seq > lastCheckpoint);
}

export function steeringText(action: SteerAction, targetRank?: number | null): string {
  switch (action) {
    case "hold":
      return "pruning is held";
    case "release":
      return "pruning is released";
    case "freeze":
      return "the mask is frozen";
    case "target":
      return `the target rank is ${targetRank}`;
  }
}

export function timelineSentence(event: TimelineEvent): string {
  switch (event.kind) {
    case "status":
      return [
        event.step === undefined
          ? `Status: ${event.status}.`
          : `Status: ${event.status}, from step ${count(event.step)}.`,
        event.message,
        event.cause ? `The log says: ${event.cause}` : undefined,
        event.next_step,
      ]
        .filter(Boolean)
        .join(" ");
    case "steer":
      return event.refused
        ? `Steering refused at step ${count(event.step)}: ${event.refused}`
        : `Steered at step ${count(event.step)}: ${steeringText(event.action, event.target_rank)}.`;
    case "config":
      return `${event.why === "retry" ? "Retried" : "Edited"} with ${Object.entries(event.changes)
        .map(([field, [before, after]]) => `${field} ${configValue(after)} instead of ${configValue(before)}`)
        .join(", ")}.`;
    case "warning":
      return ["Warning:", event.message, event.next_step].filter(Boolean).join(" ");
    case "checkpoint":
      return `Checkpoint at step ${count(event.step)} (${bytes(event.size_bytes)}).`;
    case "artifact":
      return `The ${event.name} was exported: ${count(event.kept_parameters)} parameters, ${bytes(event.size_bytes)}.`;
  }
}
