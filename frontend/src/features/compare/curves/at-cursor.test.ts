import { expect, test } from "vitest";
import { indexAt, valueAt } from "./at-cursor";

test("the nearest point counts, within the curve, in either direction", () => {
  expect([9, 10, 14, 16, 30, 31].map((at) => indexAt([10, 20, 30], at))).toEqual([null, 0, 0, 1, 2, null]);
  expect([31, 30, 26, 11].map((at) => indexAt([30, 20, 10], at))).toEqual([null, 0, 0, 2]);
  expect(indexAt([], 1)).toBeNull();
});

test("without a cursor the last value is shown", () => {
  const curve = { x: [1, 2], values: [0.5, "NaN" as const], sd: null };
  expect(valueAt(curve, null)).toEqual({ value: "NaN", sd: null });
  expect(valueAt(curve, 5)).toBeNull();
  expect(valueAt({ ...curve, sd: [0.1, 0.2] }, 1)).toEqual({ value: 0.5, sd: 0.1 });
});
