import { expect, test } from "vitest";
import { type RunState, stateLabel } from "./run-state";

const label = (state: Partial<RunState>) =>
  stateLabel({ status: "running", phase: null, attempt: 1, ...state });

test("every state has its own label", () => {
  expect(label({ status: "queued", position: 3 })).toBe("queued, #3");
  expect(label({ status: "starting", phase: "loading" })).toBe("starting");
  expect(label({ status: "starting", phase: "loading", attempt: 2 })).toBe("resuming, attempt 2");
  for (const phase of ["training", "pruning", "evaluating", "exporting"] as const)
    expect(label({ phase })).toBe(phase);
  expect(label({ phase: "saving" })).toBe("checkpointing");
  expect(label({ status: "stopping", phase: "saving" })).toBe("stopping, saving");
  expect(label({ status: "interrupted", position: 1 })).toBe("interrupted, #1 in queue");
  expect(label({ status: "failed", reason: "out of GPU memory" })).toBe("failed: out of GPU memory");
  expect(label({ status: "failed", reason: "error" })).toBe("failed");
  expect(label({ status: "done", reason: null })).toBe("done");
});
