// @vitest-environment jsdom
import { expect, test } from "vitest";
import type { RunConfig } from "@/api/types";
import { stepsAfter, targetAt } from "./ForkDialog";

const steered = {
  method: { name: "dynamic_rank", target_rank: 2 },
  steering: [
    { action: "hold", step: 5 },
    { action: "target", step: 10, target_rank: 1 },
    { action: "target", step: 20, target_rank: 4 },
    { action: "release", step: 30 },
  ],
} as unknown as RunConfig;

test("the target rank of a checkpoint is the one that it was steered to by then", () => {
  expect([9, 10, 19, 20, 40].map((step) => targetAt(steered, "target_rank", step))).toEqual([2, 1, 1, 4, 4]);
});

test("a method whose budget a fork may not change has no target rank", () => {
  expect(targetAt(steered, null, 20)).toBeNull();
});

test("the proposed steps are more than the checkpoint's, also for the last one of a finished run", () => {
  expect([stepsAfter(150, 200), stepsAfter(200, 200), stepsAfter(1, 1)]).toEqual([200, 300, 2]);
  expect(stepsAfter(50, null)).toBe("");
});
