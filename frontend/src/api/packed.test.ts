import { describe, expect, test } from "vitest";
import { frameOfEvent, framesOf, fromFloat16, moduleStates, unpackFloat16, unpackMask } from "./packed";
import type { RankHistory, RanksEvent } from "./types";

const base64 = (bytes: number[]) => btoa(String.fromCharCode(...bytes));

/** numpy.packbits(bits, bitorder="little"), written out. */
function packbits(bits: number[]): string {
  const bytes = new Array<number>(Math.ceil(bits.length / 8)).fill(0);
  bits.forEach((bit, index) => {
    bytes[index >> 3] = (bytes[index >> 3] ?? 0) + bit * 2 ** (index % 8);
  });
  return base64(bytes);
}

describe("unpackMask", () => {
  test("reads bits in little order, across the borders of bytes and rows", () => {
    const bits = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0];
    expect([...unpackMask(packbits(bits), 3, 5)]).toEqual(bits);
  });

  test("is what numpy packs: [[1,1,0],[0,0,1]] is the byte 0b100011", () => {
    expect([...unpackMask(base64([0b100011]), 2, 3)]).toEqual([1, 1, 0, 0, 0, 1]);
  });
});

describe("fromFloat16", () => {
  test.each([
    [0x0000, 0],
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ])("0x%s is %s", (bits, value) => {
    expect(fromFloat16(bits)).toBe(value);
  });
});

test("scores are little-endian", () => {
  expect([...unpackFloat16(base64([0x00, 0x3c, 0x00, 0xc0]))]).toEqual([1, -2]);
});

const snapshot = (modules: number, width: number, mask: string, scores: string) =>
  ({
    ...{ kind: "ranks", seq: 1, attempt: 1, time: 1, step: 20, budget: 2, live: 2 },
    ...{ modules, width, mask, scores },
  }) as RanksEvent;

describe("a snapshot of the stream", () => {
  test("has live components, and the mean and largest of their scores only", () => {
    // Scores 1, 4, 3 of the first module; the 4 belongs to a component that is not live.
    const scores = base64([0, 0x3c, 0, 0x44, 0, 0x42, 0, 0, 0, 0, 0, 0]);
    const frame = frameOfEvent(snapshot(2, 3, packbits([1, 0, 1, 0, 0, 0]), scores));
    expect([...frame.importanceMax]).toEqual([3, 0]);
    expect(moduleStates(frame)).toEqual([
      { rank: 2, importance: 2 },
      { rank: 0, importance: null },
    ]);
  });

  test("a score that is NaN makes the importance NaN, not a smaller number", () => {
    const frame = frameOfEvent(snapshot(1, 2, packbits([1, 1]), base64([0x00, 0x7e, 0, 0x3c])));
    expect(moduleStates(frame)[0]?.importance).toBeNaN();
    expect(frame.importanceMax[0]).toBeNaN();
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
  const [first, second] = framesOf(history);
  expect(first).toMatchObject({ step: 0, attempt: 1, budget: 6, live: 6, threshold: null, pruning: false });
  expect(second).toMatchObject({ step: 20, attempt: 2, threshold: "NaN", pruning: true, final: true });
  expect([first?.ranks, second?.ranks].map((one) => [...(one ?? [])])).toEqual([
    [3, 3],
    [2, 256],
  ]);
  expect([...(second?.importanceMean ?? [])]).toEqual([3, 0]);
  expect([...(second?.importanceMax ?? [])]).toEqual([4, 0]);
});
