import { describe, expect, test } from "vitest";
import { snapshotOf, snapshotsOf } from "./snapshots";
import type { RankHistory, RanksEvent } from "./types";

const base64 = (bytes: number[]) => btoa(String.fromCharCode(...bytes));

/** numpy.packbits(bits, bitorder="little") of up to eight bits, written out. */
const packbits = (bits: number[]) => base64([bits.reduce((byte, bit, index) => byte + bit * 2 ** index, 0)]);

const snapshot = (modules: number, width: number, mask: string, scores: string) =>
  ({
    ...{ kind: "ranks", seq: 1, attempt: 1, time: 1, step: 20, budget: 2, live: 2 },
    ...{ modules, width, mask, scores },
  }) as RanksEvent;

describe("a snapshot of the stream", () => {
  test("has live components, and the mean and largest of their scores only", () => {
    // Scores 1, 4, 3 of the first module; the 4 belongs to a component that is not live.
    const scores = base64([0, 0x3c, 0, 0x44, 0, 0x42, 0, 0, 0, 0, 0, 0]);
    const frame = snapshotOf(snapshot(2, 3, packbits([1, 0, 1, 0, 0, 0]), scores));
    expect([...frame.max]).toEqual([3, 0]);
    expect([...frame.mean]).toEqual([2, 0]);
    expect([...frame.ranks]).toEqual([2, 0]);
  });

  test("a score that is NaN makes the importance NaN, not a smaller number", () => {
    const frame = snapshotOf(snapshot(1, 2, packbits([1, 1]), base64([0x00, 0x7e, 0, 0x3c])));
    expect(frame.mean[0]).toBeNaN();
    expect(frame.max[0]).toBeNaN();
  });
});

test("the history's columns are cut into snapshots", () => {
  const history = {
    ...{ modules: [{}, {}], width: 3, steps: [0, 20], attempts: [1, 2], budget: [6, 2], live: [6, 2] },
    ...{ threshold: [null, "NaN"], pruning: [false, true], final: [false, true] },
    ranks: base64([3, 0, 3, 0, 2, 0, 0, 1]),
    importance_mean: base64([0, 0x3c, 0, 0x40, 0, 0x42, 0, 0]),
    importance_max: base64([0, 0x3c, 0, 0x40, 0, 0x44, 0, 0]),
  } as unknown as RankHistory;
  const [first, second] = snapshotsOf(history);
  expect(first).toMatchObject({ step: 0, attempt: 1, budget: 6, live: 6, threshold: null, pruning: false });
  expect(second).toMatchObject({ step: 20, attempt: 2, threshold: "NaN", pruning: true, final: true });
  expect([first?.ranks, second?.ranks].map((one) => [...(one ?? [])])).toEqual([
    [3, 3],
    [2, 256],
  ]);
  expect([...(second?.mean ?? [])]).toEqual([3, 0]);
  expect([...(second?.max ?? [])]).toEqual([4, 0]);
});
