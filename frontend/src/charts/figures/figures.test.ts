import { describe, expect, test } from "vitest";
import {
  colourAt,
  darkScale,
  darkSigned,
  inkOn,
  lightScale,
  lightSigned,
  luminance,
} from "@/charts/heatmap/colour-scale";
import { lightLook } from "@/charts/plot/look";
import { budgetFigure } from "./budget";
import { curvesFigure } from "./curves";

// biome-ignore lint/suspicious/noExplicitAny: figures are inspected as plain data
type Trace = any;

test("numbers on the scales have a contrast of at least 4.5 everywhere", () => {
  for (const scale of [lightScale, darkScale, lightSigned, darkSigned]) {
    for (let share = 0; share <= 1; share += 0.01) {
      const colour = colourAt(scale, share);
      const under = luminance(colour);
      const contrast = inkOn(colour) === "black" ? (under + 0.05) / 0.05 : 1.05 / (under + 0.05);
      expect(contrast).toBeGreaterThan(4.5);
    }
  }
});

test("more rank is darker in the light theme and brighter in the dark one", () => {
  const run = (scale: typeof lightScale) =>
    Array.from({ length: 21 }, (_, at) => luminance(colourAt(scale, at / 20)));
  const light = run(lightScale);
  const dark = run(darkScale);
  expect(light).toEqual([...light].sort((a, b) => b - a));
  expect(dark).toEqual([...dark].sort((a, b) => a - b));
});

describe("curvesFigure", () => {
  const curve = {
    name: "loss",
    x: [1, 2, 3, 4],
    values: [0.5, "NaN", "Infinity", 0.3] as const,
    colour: "#000",
  };

  test("leaves a gap for values that are not finite, marks them, and names them on hover", () => {
    const data = curvesFigure({ curves: [{ ...curve, values: [...curve.values] }], look: lightLook })
      .data as Trace[];
    expect(data[0].y).toEqual([0.5, null, null, 0.3]);
    expect(data[1]).toMatchObject({ x: [2, 3], y: [0.5, 0.5], customdata: ["NaN", "Infinity"] });
    expect(data[1].name).toContain("(2)");
  });

  test("pads values that are nearly equal, and returns to Plotly's range when they are not", () => {
    const yaxis = (values: number[]) =>
      curvesFigure({ curves: [{ ...curve, values }], look: lightLook }).layout.yaxis;
    expect(yaxis([2, 2, 2, 2])?.range).toEqual([1.9, 2.1]);
    expect(yaxis([2, 2, 2, 2])?.autorange).toBeUndefined();
    expect(yaxis([2, 2, 2, 3])?.autorange).toBe(true);
  });

  test("shows the raw points behind the smoothed line", () => {
    const x = Array.from({ length: 50 }, (_, at) => at);
    const data = curvesFigure({
      curves: [{ name: "loss", x, values: x, smoothed: x.map(() => 2), colour: "#000" }],
      look: lightLook,
    }).data as Trace[];
    expect(data.map((trace) => trace.name)).toEqual(["loss", "smoothed"]);
    expect(data[1].y[49]).toBeCloseTo(2);
  });
});

describe("budgetFigure", () => {
  const frame = (step: number, live: number, pruning = false) => ({ step, live, pruning, final: false });
  const planned = [
    { step: 0, budget: 8 },
    { step: 10, budget: 4 },
  ];

  test("draws live components only where the count is exact, and holds the last", () => {
    const data = budgetFigure({
      planned,
      frames: [frame(0, 8), frame(5, 7), frame(10, 4, true), frame(15, 6)],
      look: lightLook,
      totalSteps: 20,
    }).data as Trace[];
    expect(data[1].x).toEqual([0, 10, 15]);
    expect(data[1].y).toEqual([8, 4, 4]);
  });

  test("marks steering on the plan, with a description", () => {
    const steering = [{ step: 12, text: "step 12: pruning is held" }];
    const data = budgetFigure({ planned, frames: [], steering, look: lightLook, totalSteps: 20 })
      .data as Trace[];
    expect(data.at(-1)).toMatchObject({ x: [12], y: [4], text: ["step 12: pruning is held"] });
  });

  test("is only the plan before the run", () => {
    expect(budgetFigure({ planned, frames: [], look: lightLook, totalSteps: 20 }).data).toHaveLength(1);
  });
});

test("the scale of changes is neutral at 0, and equal steps from it are equally far in lightness", () => {
  for (const scale of [lightSigned, darkSigned]) {
    const at = (share: number) => luminance(colourAt(scale, share));
    for (const away of [0.125, 0.25, 0.375, 0.5])
      expect(Math.abs(at(0.5 + away) - at(0.5 - away))).toBeLessThan(0.12);
  }
});
