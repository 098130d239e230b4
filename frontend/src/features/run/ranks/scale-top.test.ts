import { expect, test } from "vitest";
import type { Snapshot } from "@/api/snapshots";
import { scaleTop } from "./scale-top";

const snapshot = (step: number, ranks: number[], mean: number[], pruning = false): Snapshot => ({
  step,
  attempt: 1,
  budget: 0,
  live: 0,
  threshold: null,
  pruning,
  final: false,
  ranks: Uint16Array.from(ranks),
  mean: Float32Array.from(mean),
  max: Float32Array.from(mean),
});

test("ranks and changes end at the width", () => {
  expect([scaleTop([], "rank", 12), scaleTop([], "change", 12)]).toEqual([12, 12]);
});

test("a difference ends at the largest of any pruning, and is at least 2", () => {
  const run = [
    snapshot(0, [8, 8], [1, 1]),
    snapshot(5, [8, 3], [1, 1], true),
    snapshot(9, [7, 3], [1, 1], true),
  ];
  expect(scaleTop(run, "difference", 8)).toBe(5);
  expect(scaleTop(run.slice(0, 1), "difference", 8)).toBe(2);
});

test("scores end at a round number above nearly all of them; NaN and a single peak do not count", () => {
  const run = Array.from({ length: 200 }, (_, step) =>
    snapshot(step, [2], [step === 3 ? 90 : step === 4 ? Number.NaN : 0.4]),
  );
  expect(scaleTop(run, "mean", 8)).toBeCloseTo(0.5);
  expect(scaleTop(run, "sum", 8)).toBeCloseTo(1);
});
