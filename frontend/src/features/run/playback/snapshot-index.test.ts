import { expect, test } from "vitest";
import { frameIndexAt, nearestIndex, nextPruning, previousPruning } from "./snapshot-index";

const frames = [0, 5, 10, 15, 20].map((step) => ({ step, pruning: step === 10 || step === 20 }));

test("a step between two snapshots shows the older one", () => {
  expect([0, 4, 5, 12, 20, 99].map((at) => frameIndexAt(frames, at))).toEqual([0, 0, 1, 2, 4, 4]);
});

test("null means the newest, and no snapshots give -1", () => {
  expect(frameIndexAt(frames, null)).toBe(4);
  expect(frameIndexAt([], null)).toBe(-1);
  expect(frameIndexAt([], 3)).toBe(-1);
});

test("moves from pruning to pruning, then to the ends", () => {
  expect(nextPruning(frames, 0, 1)).toBe(2);
  expect(nextPruning(frames, 2, 1)).toBe(4);
  expect(nextPruning(frames, 4, 1)).toBe(4);
  expect(nextPruning(frames, 4, -1)).toBe(2);
  expect(nextPruning(frames, 2, -1)).toBe(0);
});

test("in a run that never prunes, moves from snapshot to snapshot", () => {
  const calm = frames.map((frame) => ({ ...frame, pruning: false }));
  expect([nextPruning(calm, 1, 1), nextPruning(calm, 1, -1), nextPruning(calm, 0, -1)]).toEqual([2, 0, 0]);
});

test("a step leads to the nearest snapshot", () => {
  expect([-5, 2, 3, 7.5, 19, 400].map((at) => nearestIndex(frames, at))).toEqual([0, 0, 1, 1, 4, 4]);
  expect(nearestIndex([], 3)).toBe(-1);
});

test("the effect of a pruning is shown until the next one", () => {
  // Prunings at 2 and 4: at 3, the ranks are still compared to those before the pruning at 2.
  expect([0, 1, 2, 3, 4].map((at) => previousPruning(frames, at))).toEqual([0, 0, 0, 0, 2]);
});
