import { expect, test } from "vitest";
import { meanStateAfter, smoothOn } from "./smoothing";

const start = { mean: 0, weight: 0 };

test("a constant stays constant, from the first point on", () => {
  for (const value of smoothOn(start, [3, 3, 3], 0.9).smoothed) expect(value).toBeCloseTo(3, 12);
});

test("continuing from the server's mean equals smoothing all at once", () => {
  const values = Array.from({ length: 40 }, (_, index) => Math.sin(index) + index / 10);
  const whole = smoothOn(start, values, 0.8).smoothed;
  const first = smoothOn(start, values.slice(0, 25), 0.8).smoothed;
  const rest = smoothOn(meanStateAfter(first.at(-1), 25, 0.8), values.slice(25), 0.8).smoothed;
  rest.forEach((value, index) => {
    expect(value).toBeCloseTo(whole[25 + index] ?? Number.NaN, 10);
  });
});

test("a value that is not finite repeats the mean before it, as on the server", () => {
  const { smoothed } = smoothOn(start, [1, "NaN", 3], 0.5);
  expect(smoothed[1]).toBe(1);
  expect(smoothOn(start, ["NaN"], 0.5).smoothed[0]).toBeNaN();
  expect(smoothed[2]).toBeCloseTo((0.25 * 1 + 0.5 * 3) / 0.75, 12);
});
