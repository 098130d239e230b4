import { describe, expect, test } from "vitest";
import type { Module } from "@/api/types";
import { budgetFigure } from "./budget";
import { colourAt, darkScale, inkOn, lightScale, luminance } from "./colour-scale";
import { curvesFigure, runningMean } from "./curves";
import { rankCounts } from "./distribution";
import { heatmapFigure, mostLabelledCells } from "./heatmap";
import { darkLook, lightLook } from "./look";
import { moduleGrid } from "./module-grid";

const module = (layer: number | null, kind: string, stack = ""): Module => ({
  name: `${stack}${layer}.${kind}`,
  layer,
  kind,
  stack,
  out_features: 8,
  in_features: 4,
});

// biome-ignore lint/suspicious/noExplicitAny: figures are looked into as plain data
type Trace = any;

describe("moduleGrid", () => {
  test("puts layers down and kinds across in the order of the forward pass", () => {
    const grid = moduleGrid([
      module(0, "query"),
      module(0, "value"),
      module(1, "query"),
      module(null, "pooler"),
    ]);
    expect(grid.rows).toEqual(["0", "1", "other"]);
    expect(grid.columns).toEqual(["query", "value", "pooler"]);
    expect(grid.places[3]).toEqual({ row: 2, column: 2 });
  });

  test("keeps encoder and decoder apart, and twins of one kind in one layer", () => {
    const grid = moduleGrid([
      module(0, "up", "encoder"),
      module(0, "up", "decoder"),
      module(0, "up", "decoder"),
    ]);
    expect(grid.rows).toEqual(["encoder 0", "decoder 0"]);
    expect(grid.columns).toEqual(["up", "up (2)"]);
  });
});

describe("heatmapFigure", () => {
  const modules = [module(0, "query"), module(0, "value"), module(1, "query")];
  const figure = heatmapFigure({
    modules,
    states: [
      { rank: 4, importance: 0.5 },
      { rank: 0, importance: null },
      { rank: 2, importance: 0.25 },
    ],
    value: "rank",
    top: 6,
    look: lightLook,
  });
  const [heat, empty, black, white, muted] = figure.data as Trace[];

  test("colours from 0 to the initial rank at every step", () => {
    expect([heat.zmin, heat.zmax]).toEqual([0, 6]);
  });

  test("leaves rank 0 out of the scale and marks it with an x; what is not adapted stays empty", () => {
    expect(heat.z).toEqual([
      [4, null],
      [2, null],
    ]);
    expect(empty.z).toEqual([
      [null, 1],
      [null, null],
    ]);
    expect(muted.text).toEqual(["×"]);
  });

  test("writes every other rank once, in black or white", () => {
    expect([...black.text, ...white.text].sort()).toEqual(["2", "4"]);
  });

  test("names module, rank and importance on hover", () => {
    expect(heat.text[0][0]).toContain("0.query");
    expect(heat.text[0][0]).toContain("rank 4 · importance 0.50");
    expect(empty.text[0][1]).toContain("no live component");
  });

  test("draws layer 0 at the top", () => {
    expect(figure.layout.yaxis?.range).toEqual([1.5, -0.5]);
  });

  test("has no numbers above the limit", () => {
    const many = Array.from({ length: mostLabelledCells + 1 }, (_, layer) => module(layer, "query"));
    const states = many.map(() => ({ rank: 3, importance: 1 }));
    const large = heatmapFigure({ modules: many, states, value: "rank", top: 6, look: darkLook })
      .data as Trace[];
    expect(large.slice(2).every((trace) => trace.text.length === 0)).toBe(true);
  });

  test("marks an importance that is NaN in place of giving it a colour", () => {
    const data = heatmapFigure({
      modules: [module(0, "query")],
      states: [{ rank: 3, importance: Number.NaN }],
      value: "importance",
      top: 1,
      look: lightLook,
    }).data as Trace[];
    expect(data[0].z).toEqual([[null]]);
    expect(data[4].text).toEqual(["NaN"]);
  });
});

test("numbers on the scales have a contrast of at least 4.5 everywhere", () => {
  for (const scale of [lightScale, darkScale]) {
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

  test("leaves a gap for what is not finite, marks it, and says what it was", () => {
    const data = curvesFigure({ curves: [{ ...curve, values: [...curve.values] }], look: lightLook })
      .data as Trace[];
    expect(data[0].y).toEqual([0.5, null, null, 0.3]);
    expect(data[1]).toMatchObject({ x: [2, 3], y: [0.5, 0.5], customdata: ["NaN", "Infinity"] });
    expect(data[1].name).toContain("(2)");
  });

  test("shows the raw points behind the smoothed ones", () => {
    const x = Array.from({ length: 50 }, (_, at) => at);
    const data = curvesFigure({
      curves: [{ name: "loss", x, values: x.map(() => 2), colour: "#000", isSmoothed: true }],
      look: lightLook,
    }).data as Trace[];
    expect(data.map((trace) => trace.name)).toEqual(["loss", "smoothed"]);
    expect(data[1].y[49]).toBeCloseTo(2);
  });
});

test("the running mean starts at the first value and follows slowly", () => {
  const [first, gap, last] = runningMean([1, null, 3], 0.5);
  expect(first).toBeCloseTo(1);
  expect(gap).toBeNull();
  // Weights 0.25 and 0.5 of the values 1 and 3.
  expect(last).toBeCloseTo((0.25 * 1 + 0.5 * 3) / 0.75);
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

  test("is only the plan before the run", () => {
    expect(budgetFigure({ planned, frames: [], look: lightLook, totalSteps: 20 }).data).toHaveLength(1);
  });
});

test("counts the modules at every rank, also at none", () => {
  expect(rankCounts([0, 2, 2, 3], 4)).toEqual([1, 0, 2, 1, 0]);
});
