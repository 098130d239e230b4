import { expect, test } from "vitest";
import { frameIndexAt, nextPruning } from "./frames";

const frames = [0, 5, 10, 15, 20].map((step) => ({ step, pruning: step === 10 || step === 20 }));

test("a step between two snapshots shows the older one", () => {
  expect([0, 4, 5, 12, 20, 99].map((at) => frameIndexAt(frames, at))).toEqual([0, 0, 1, 2, 4, 4]);
});

test("null follows the newest, and nothing is -1", () => {
  expect(frameIndexAt(frames, null)).toBe(4);
  expect(frameIndexAt([], null)).toBe(-1);
  expect(frameIndexAt([], 3)).toBe(-1);
});

test("goes from pruning to pruning, then to the ends", () => {
  expect(nextPruning(frames, 0, 1)).toBe(2);
  expect(nextPruning(frames, 2, 1)).toBe(4);
  expect(nextPruning(frames, 4, 1)).toBe(4);
  expect(nextPruning(frames, 4, -1)).toBe(2);
  expect(nextPruning(frames, 2, -1)).toBe(0);
});
