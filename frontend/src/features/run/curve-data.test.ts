import { expect, test } from "vitest";
import type { SeriesList } from "@/api/types";
import { curveSet, newestStep, placesOf, stretchBetween, withDetail, withLater } from "./curve-data";

const list = (name: string, steps: number[], values: number[], lastSeq = 10): SeriesList => ({
  last_seq: lastSeq,
  items: [
    {
      name,
      steps,
      values,
      times: steps.map((step) => 1000 + step),
      smoothed: values,
      total_points: steps.length,
      is_reduced: false,
      ghosts: [],
      last_seq: lastSeq,
    } as SeriesList["items"][number],
  ],
});

test("what comes later is put at the end, and a new metric begins", () => {
  let set = curveSet(list("loss", [1, 2], [3, 2]), 0.5);
  expect(newestStep(set)).toBe(2);
  set = withLater(set, list("loss", [2, 3], [2, 1], 12), 0.5);
  set = withLater(set, list("accuracy", [3], [0.5], 13), 0.5);
  expect(set.curves.map((curve) => [curve.name, curve.steps])).toEqual([
    ["loss", [1, 2, 3]],
    ["accuracy", [3]],
  ]);
  expect(set.curves[0]?.smoothed).toHaveLength(3);
  expect(set.added).toBe(2);
  expect(set.lastSeq).toBe(13);
});

test("nothing new changes no curve", () => {
  const set = curveSet(list("loss", [1, 2], [3, 2]), 0.5);
  expect(withLater(set, list("loss", [], [], 11), 0.5).curves[0]).toBe(set.curves[0]);
});

test("points stand on steps, minutes or shares", () => {
  const curve = curveSet(list("loss", [30, 60], [3, 2]), 0).curves[0];
  if (!curve) throw new Error("no curve");
  const run = { startedAt: 1000, totalSteps: 120 };
  expect(placesOf(curve, "step", run)).toEqual([30, 60]);
  expect(placesOf(curve, "time", run)).toEqual([0.5, 1]);
  expect(placesOf(curve, "progress", run)).toEqual([0.25, 0.5]);
});

test("what a person has zoomed to is drawn exactly, and the rest stays as it was", () => {
  const curve = curveSet(list("loss", [0, 10, 20, 30, 40], [9, 8, 7, 6, 5]), 0.5).curves[0];
  if (!curve) throw new Error("no curve");
  const stretch = stretchBetween(curve, curve.steps, [12, 27]);
  // One point more at each end, so that the lines go on to the edge.
  expect(stretch).toEqual({ from: 10, to: 30 });
  const series = list("loss", [10, 15, 20, 25, 30], [8, 1, 7, 2, 6]).items[0];
  if (!series || !stretch) throw new Error("no stretch");
  const exact = withDetail(curve, { ...stretch, series });
  expect(exact.steps).toEqual([0, 10, 15, 20, 25, 30, 40]);
  expect(exact.values).toEqual([9, 8, 1, 7, 2, 6, 5]);
  expect(exact.smoothed).toHaveLength(7);
  expect(exact.times).toHaveLength(7);
});

test("beside the curve there is nothing to zoom to; up to its end the newest points are", () => {
  const curve = curveSet(list("loss", [0, 10, 20], [3, 2, 1]), 0).curves[0];
  if (!curve) throw new Error("no curve");
  expect(stretchBetween(curve, curve.steps, [21, 30])).toBeNull();
  expect(stretchBetween(curve, [0, 0.5, 1], [0.6, 2])).toEqual({ from: 10, to: 20 });
});
