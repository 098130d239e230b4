import { expect, test } from "vitest";
import type { Module } from "@/api/types";
import { heatmapFigure } from "@/charts/heatmap/heatmap";
import { lightLook } from "@/charts/plot/look";
import { moduleDifferences, nearest, notAdapted } from "./rank-difference";

const modules = ["q", "k", "v"].map(
  (kind, index) =>
    ({ name: `layer.0.${kind}`, layer: 0, kind, stack: "", out_features: 8, in_features: index }) as Module,
);

test("modules are sorted by difference, and those of one run only have none", () => {
  const rows = moduleDifferences(modules, Uint16Array.of(1, 0, notAdapted), Uint16Array.of(2, 5, 3));
  expect(rows.map(({ module, a, b, difference }) => [module.kind, a, b, difference])).toEqual([
    ["k", 0, 5, -5],
    ["q", 1, 2, -1],
    ["v", null, 3, null],
  ]);
});

test("the nearest position is shown, and the last one without a choice", () => {
  expect(nearest([0, 10, 20], 14)).toBe(1);
  expect(nearest([288, 200, 144], 150)).toBe(2);
  expect(nearest([0, 10, 20], null)).toBe(2);
});

test("a difference of 0 is a coloured cell, rank 0 is a cross, and a module that isn't adapted is empty", () => {
  const levels = { ranks: Uint16Array.of(0, 3, 0), mean: new Float32Array(3), max: new Float32Array(3) };
  const view = { levels, start: levels.ranks, before: Uint16Array.of(0, 1, 0) };
  const isAbsent = (index: number) => index === 2;
  const input = { modules, view, top: 3, look: lightLook, isAbsent, hoverOf: () => "" };
  type Trace = { z?: (number | null)[][]; x?: number[] };
  const [cells, empty, crosses] = heatmapFigure({ ...input, colouring: "rank" }).data as Trace[];
  expect([cells?.z, empty?.z, crosses?.x]).toEqual([[[null, 3, null]], [[1, null, null]], [0]]);
  const [between] = heatmapFigure({ ...input, colouring: "between" }).data as Trace[];
  expect(between?.z).toEqual([[0, 2, null]]);
});
