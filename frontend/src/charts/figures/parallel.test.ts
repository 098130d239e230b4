import { expect, test } from "vitest";
import type { SweepAnalysis } from "@/api/types";
import { lightLook } from "@/charts/plot/look";
import { parallelFigure, placeOn } from "./parallel";

const rate: SweepAnalysis["axes"][number] = {
  name: "training.learning_rate",
  title: "Learning rate",
  scale: "log",
  low: 1e-4,
  high: 1e-2,
  choices: null,
};
const score = { ...rate, name: "method.score", title: "Score", scale: null, low: null, high: null };
const scores = { ...score, choices: ["norm", "random", "abs_c"] };

test("places values on their axis: logarithms, choices, and absent values below the others", () => {
  expect(placeOn(rate, 1e-3)).toBeCloseTo(0.5);
  expect(placeOn({ ...rate, scale: "linear" }, 1e-2)).toBe(1);
  expect(scores.choices.map((choice) => placeOn(scores, choice))).toEqual([0, 0.5, 1]);
  expect(placeOn(scores, null)).toBeLessThan(0);
});

test("draws the best point last, in the direction of the metric, then the marked one", () => {
  const lines = [0.7, 0.9, 0.8, 0.9, 0.7].map((value, point) => ({ point, values: [1e-3, "norm"], value }));
  const drawn = (lower_is_better: boolean) =>
    parallelFigure({
      analysis: { axes: [rate, scores], lines },
      metric: { title: "accuracy", lower_is_better },
      text: String,
      marked: 2,
      look: lightLook,
    }).data.map((trace) => (trace as { customdata: unknown[] }).customdata[0]);
  expect(drawn(false).slice(-2)).toEqual([1, 2]);
  expect(drawn(true).slice(-2)).toEqual([0, 2]);
});
