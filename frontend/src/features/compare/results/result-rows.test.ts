import { expect, test } from "vitest";
import { deltaTo, meanOf, signedMetric } from "./result-rows";

test("a difference is better or worse by the metric's direction, and neither if it is zero", () => {
  expect(deltaTo(0.8, 0.7, false)).toMatchObject({ isBetter: true });
  expect(deltaTo(0.8, 0.7, true)).toMatchObject({ isBetter: false });
  expect(deltaTo(0.6, 0.7, true)).toMatchObject({ isBetter: true });
  expect(deltaTo(0.7, 0.7, true)).toEqual({ difference: 0, isBetter: null });
  expect(deltaTo(5, 3, null)).toEqual({ difference: 2, isBetter: null });
  expect(deltaTo(null, 0.7, true)).toBeNull();
  expect([0.0123, -0.004, 0].map(signedMetric)).toEqual(["+0.0123", "−0.0040", "±0"]);
});

test("a group's number is the mean of the runs that have one", () => {
  const group = { name: "g", run_ids: ["a", "b", "c"], seeds: [0, 1, 2] };
  const values: Record<string, number | null> = { a: 2, b: null, c: 4 };
  expect(meanOf(group, (id) => values[id])).toBe(3);
  expect(meanOf(group, () => null)).toBeNull();
});
