import { expect, test } from "vitest";
import { type RunState, stateLabel } from "./run-state";

const words = (state: Partial<RunState>) =>
  stateLabel({ status: "running", phase: null, attempt: 1, ...state });

test("every state has its own words", () => {
  expect(words({ status: "queued", position: 3 })).toBe("queued at #3");
  expect(words({ status: "starting", phase: "loading" })).toBe("starting");
  expect(words({ status: "starting", phase: "loading", attempt: 2 })).toBe("resuming, attempt 2");
  for (const phase of ["training", "pruning", "evaluating", "exporting"] as const)
    expect(words({ phase })).toBe(phase);
  expect(words({ phase: "saving" })).toBe("checkpointing");
  expect(words({ status: "stopping", phase: "saving" })).toBe("stopping, saving");
  expect(words({ status: "interrupted", position: 1 })).toBe("interrupted, #1 to go on");
  expect(words({ status: "failed", reason: "out of GPU memory" })).toBe("failed: out of GPU memory");
  expect(words({ status: "failed", reason: "error" })).toBe("failed");
  expect(words({ status: "done", reason: null })).toBe("done");
});
