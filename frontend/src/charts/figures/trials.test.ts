import { expect, test } from "vitest";
import type { ExperimentCell, VariantComparison } from "@/api/types";
import { lightLook } from "@/charts/plot/look";
import { differencesFigure, valuesFigure } from "./trials";

const pair = (seed: number, value: number, reference: number, collapsed = false) => ({
  seed,
  value,
  reference_value: reference,
  collapse: collapsed ? "majority" : null,
  reference_collapse: null,
});
const comparison = {
  verdict: "better",
  difference: { mean: 0.01, interval: { low: 0.004, high: 0.016 }, n: 2 },
  pairs: [pair(0, 0.82, 0.81), pair(1, 0.5, 0.8, true)],
} as unknown as VariantComparison;
const points = { factor: 100, digits: 2, name: "points" };

test("differences are drawn in points, with the interval and the margin", () => {
  const { data, layout } = differencesFigure([comparison], ["new <b>"], 0.005, points, lightLook);
  const [seeds, mean] = data as unknown as {
    x: number[];
    marker: { symbol: string[] };
    error_x: { array: number[]; arrayminus: number[] };
    text: string[];
  }[];
  expect(seeds?.x.map((x) => Number(x.toFixed(6)))).toEqual([1, -30]);
  expect(seeds?.marker.symbol).toEqual(["circle-open", "x-thin"]);
  expect(mean?.x).toEqual([1]);
  expect(mean?.error_x.array[0]).toBeCloseTo(0.6);
  expect(mean?.error_x.arrayminus[0]).toBeCloseTo(0.6);
  expect(mean?.text[0]).toBe(
    "<b>new &lt;b&gt;</b><br>+1.00 points (95 % interval +0.40 to +1.60)<br>2 seeds: better",
  );
  expect(layout.shapes?.[0]).toMatchObject({ x0: -0.5, x1: 0.5 });
  // A collapsed seed does not squeeze the rest.
  expect(layout.xaxis?.range?.[0]).toBeGreaterThan(-1);
});

test("values have one place per budget, and leave out missing cells", () => {
  const cell = (variant: string, budget: number, mean: number | null) =>
    ({
      variant,
      budget,
      mean,
      n: 1,
      interval: null,
      mean_without_collapsed: null,
      values: [{ seed: 0, value: mean, collapse: null }],
    }) as unknown as ExperimentCell;
  const cells = [cell("a", 1, 0.8), cell("a", 4, 0.9), cell("b", 1, null)];
  const { data, layout } = valuesFigure(cells, ["a", "b"], points, "accuracy, %", lightLook);
  const lines = data as unknown as { name?: string; y: number[] }[];
  expect(lines.find((line) => line.name === "a")?.y).toEqual([80, 90]);
  expect(lines.find((line) => line.name === "b")?.y).toEqual([]);
  expect(layout.xaxis?.ticktext).toEqual(["1", "4"]);
});
