import { expect, test } from "vitest";
import type { Module } from "@/api/types";
import { lightLook } from "@/charts/plot/look";
import { rankCounts, rankGroups, rankGroupsFigure } from "./distribution";

const module = (layer: number, kind: string, stack = "") => ({ name: "", layer, kind, stack }) as Module;

test("counts the modules at every rank, including 0", () => {
  expect(rankCounts([0, 2, 2, 3], 4)).toEqual([1, 0, 2, 1, 0]);
});

test("sums up live components by layer or kind, with mean and standard deviation", () => {
  const modules = [module(0, "query"), module(0, "value"), module(1, "query"), module(1, "value")];
  const [first, second] = rankGroups(modules, [1, 5, 4, 4], "layer");
  expect(first).toMatchObject({ name: "0", live: 6, mean: 3, spread: 2, lowest: 1, highest: 5 });
  expect(second).toMatchObject({ name: "1", live: 8, mean: 4, spread: 0 });
  expect(rankGroups(modules, [1, 5, 4, 4], "kind").map((group) => [group.name, group.live])).toEqual([
    ["query", 5],
    ["value", 9],
  ]);
});

test("shows the layers of encoder and decoder separately, on one fixed scale", () => {
  const groups = rankGroups([module(0, "q", "encoder"), module(0, "q", "decoder")], [1, 2], "layer");
  const figure = rankGroupsFigure(groups, 8, "layer", lightLook);
  expect(figure.data.slice(0, 2).map((trace) => (trace as { name: string }).name)).toEqual([
    "encoder",
    "decoder",
  ]);
  expect(figure.layout.yaxis?.range?.[1]).toBeCloseTo(8 * 1.05);
});
