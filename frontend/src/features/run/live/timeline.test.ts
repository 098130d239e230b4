// @vitest-environment jsdom
import { expect, test } from "vitest";
import { mergeTimeline, standingWarnings, type TimelineEvent, timelineSentence } from "./timeline";

const event = (seq: number, body: Record<string, unknown>) =>
  ({ seq, attempt: 1, time: seq, ...body }) as unknown as TimelineEvent;

test("events that are in both history and stream are shown once, in order", () => {
  const one = event(1, { kind: "status", status: "starting" });
  const two = event(5, { kind: "checkpoint", step: 10, size_bytes: 1500 });
  expect(mergeTimeline([two, one], [two]).map((entry) => entry.seq)).toEqual([1, 5]);
});

test("shows the server's cause and next step", () => {
  const failed = event(1, {
    kind: "status",
    status: "failed",
    message: "It ran out of memory.",
    next_step: "Lower batch_size.",
  });
  expect(timelineSentence(failed)).toBe("Status: failed. It ran out of memory. Lower batch_size.");
  expect(timelineSentence(event(2, { kind: "checkpoint", step: 1000, size_bytes: 3_400_000 }))).toBe(
    "Checkpoint at step 1,000 (3.4 MB).",
  );
});

test("a checkpoint clears the warning about a failed one, and no other", () => {
  const events = [
    event(1, { kind: "warning", code: "checkpoint_failed", message: "Full." }),
    event(2, { kind: "warning", code: "nan_loss", message: "NaN." }),
    event(3, { kind: "checkpoint", step: 10, size_bytes: 1 }),
    event(4, { kind: "warning", code: "checkpoint_failed", message: "Full again." }),
  ];
  expect(standingWarnings(events).map((warning) => warning.seq)).toEqual([2, 4]);
});

test("describes steering and changed fields", () => {
  const steer = (body: Record<string, unknown>) =>
    timelineSentence(event(1, { kind: "steer", step: 7, ...body }));
  expect(steer({ action: "hold" })).toBe("Steered at step 7: pruning is held.");
  expect(steer({ action: "target", target_rank: 3 })).toBe("Steered at step 7: the target rank is 3.");
  expect(steer({ action: "freeze", refused: "Too late." })).toBe("Steering refused at step 7: Too late.");
  const changes = { "training.batch_size": [16, 8], "training.checkpoint_minutes": [null, 5] };
  expect(timelineSentence(event(2, { kind: "config", why: "retry", changes }))).toBe(
    "Retried with training.batch_size 8 instead of 16, training.checkpoint_minutes 5 instead of not set.",
  );
});
