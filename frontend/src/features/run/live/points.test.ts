import { expect, test } from "vitest";
import { addPoint, cutPoints, emptyPoints, mostPoints, type Points } from "./points";
import { smoothOn } from "./smoothing";

const none = (): Points => emptyPoints(null);

function long(count: number, value: (step: number) => Points["values"][number]): Points {
  const points = none();
  for (let step = 1; step <= count; step++) addPoint(points, step, value(step));
  return points;
}

test("is exact while it is short", () => {
  const points = long(mostPoints, (step) => step);
  expect(points).toMatchObject({ total: mostPoints, isReduced: false });
  expect(points.steps).toHaveLength(mostPoints);
});

test("keeps both ends, every extreme and values that are not finite when it is reduced", () => {
  const points = long(20_000, (step) =>
    step === 777 ? 99 : step === 12_345 ? -99 : step === 9999 ? "NaN" : Math.sin(step / 50),
  );
  const at = (step: number) => points.values[points.steps.indexOf(step)];
  expect([at(777), at(12_345), at(9999)]).toEqual([99, -99, "NaN"]);
  expect([points.steps[0], points.steps.at(-1)]).toEqual([1, 20_000]);
  expect(points).toMatchObject({ total: 20_000, isReduced: true });
  expect(points.steps.length).toBeLessThanOrEqual(mostPoints);
  expect(points.steps).toEqual([...points.steps].sort((one, other) => one - other));
});

test("stays bounded when nothing is finite", () => {
  expect(long(20_000, () => "NaN").steps.length).toBeLessThanOrEqual(mostPoints);
});

test("is cut where a new attempt starts", () => {
  const points = long(5, (step) => step);
  cutPoints(points, 3);
  expect(points).toMatchObject({ steps: [1, 2, 3], values: [1, 2, 3], total: 3 });
});

test("the mean is over every point, including those that were dropped", () => {
  const values = Array.from({ length: 9000 }, (_, index) => Math.sin(index) + index / 5000);
  const points = emptyPoints(0.9);
  values.forEach((value, index) => {
    addPoint(points, index + 1, value);
  });
  const { smoothed } = smoothOn({ mean: 0, weight: 0 }, values, 0.9);
  expect(points.isReduced).toBe(true);
  points.steps.forEach((step, index) => {
    expect(points.smooth?.values[index]).toBeCloseTo(smoothed[step - 1] ?? Number.NaN, 10);
  });
  cutPoints(points, 6000);
  addPoint(points, 6001, 2);
  const after = smoothOn({ mean: 0, weight: 0 }, [...values.slice(0, points.steps.at(-2)), 2], 0.9).smoothed;
  expect(points.smooth?.values.at(-1)).toBeCloseTo(after.at(-1) ?? Number.NaN, 6);
});
