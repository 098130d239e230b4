import { expect, test } from "vitest";
import { mergeTimeline, type TimelineEvent, timelineSentence } from "./timeline";

const event = (seq: number, body: Record<string, unknown>) =>
  ({ seq, attempt: 1, time: seq, ...body }) as unknown as TimelineEvent;

test("what history and stream both bring stands once, in order", () => {
  const one = event(1, { kind: "status", status: "starting" });
  const two = event(5, { kind: "checkpoint", step: 10, size_bytes: 1500 });
  expect(mergeTimeline([two, one], [two]).map((entry) => entry.seq)).toEqual([1, 5]);
});

test("says the cause and what to do in the server's words", () => {
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
