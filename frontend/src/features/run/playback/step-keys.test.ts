import { expect, test } from "vitest";
import { steppedTo } from "./step-keys";
import { playedTo } from "./use-playback";

const snapshots = [0, 5, 10, 15, 20].map((step) => ({ step, pruning: step === 10 || step === 20 }));
const press = (key: string, index: number, shiftKey = false) =>
  steppedTo({ key, shiftKey }, snapshots, index);

test("arrows move from pruning to pruning, with Shift from snapshot to snapshot", () => {
  expect([press("ArrowRight", 0), press("ArrowRight", 2), press("ArrowLeft", 4)]).toEqual([2, 4, 2]);
  expect([press("ArrowRight", 0, true), press("ArrowLeft", 0, true), press("ArrowRight", 4, true)]).toEqual([
    1, 0, 4,
  ]);
});

test("Home and End go to the ends, other keys do nothing", () => {
  expect([press("Home", 3), press("End", 1), press("a", 1)]).toEqual([0, 4, null]);
});

test("playback follows the clock, skips what it cannot draw in time, and ends at the newest", () => {
  expect([playedTo(10, 0, 1, 99), playedTo(10, 1000, 1, 99), playedTo(10, 1000, 8, 99)]).toEqual([
    10, 15, 50,
  ]);
  expect(playedTo(10, 60_000, 2, 99)).toBe(99);
});
