import { expect, test } from "vitest";
import type { SeriesList } from "@/api/types";
import { curveSet, newestStep, placesOf, withLater } from "./curve-data";

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
