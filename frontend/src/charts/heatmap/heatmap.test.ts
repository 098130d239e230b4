import { describe, expect, test } from "vitest";
import type { ModuleLevels } from "@/api/packed";
import type { Module } from "@/api/types";
import { darkLook, lightLook } from "@/charts/plot/look";
import { type HeatmapInput, heatmapFigure, mostLabelledCells } from "./heatmap";
import type { RankView } from "./rank-values";

const module = (layer: number, kind: string, stack = ""): Module => ({
  name: `${stack}${layer}.${kind}`,
  layer,
  kind,
  stack,
  out_features: 8,
  in_features: 4,
});

const levels = (ranks: number[], mean: number[], max = mean): ModuleLevels => ({
  ranks: Uint16Array.from(ranks),
  mean: Float32Array.from(mean),
  max: Float32Array.from(max),
});

const view = (now: ModuleLevels, start: number[], before = start): RankView => ({
  levels: now,
  start,
  before,
});

// biome-ignore lint/suspicious/noExplicitAny: figures are inspected as plain data
type Loose = any;
const modules = [module(0, "query"), module(0, "value"), module(1, "query")];
const figure = (more: Partial<HeatmapInput> = {}) => {
  const made = heatmapFigure({
    modules,
    view: view(levels([4, 0, 2], [0.5, 0, 0.25], [0.75, 0, 0.5]), [6, 6, 6], [4, 1, 1]),
    colouring: "rank",
    top: 6,
    look: lightLook,
    ...more,
  });
  const [heat, empty, crosses] = made.data as Loose[];
  return {
    heat,
    empty,
    crosses,
    labels: made.labels ?? [],
    words: (made.labels ?? []).map((label) => label.text).sort(),
    layout: made.layout as Loose,
    data: made.data as Loose[],
  };
};

describe("heatmapFigure", () => {
  test("colours from 0 to the initial rank at every step", () => {
    expect(figure().layout.coloraxis).toMatchObject({ cmin: 0, cmax: 6 });
  });

  test("excludes rank 0 from the scale and marks it with a cross; a module that is not adapted stays empty", () => {
    const { heat, empty, crosses } = figure();
    expect(heat.z).toEqual([
      [4, null],
      [2, null],
    ]);
    expect(empty.z).toEqual([
      [null, 1],
      [null, null],
    ]);
    expect([crosses.x, crosses.y]).toEqual([[1], [0]]);
  });

  test("writes every other rank once, in black or white", () => {
    const { labels } = figure({ view: view(levels([6, 0, 2], [0.5, 0, 0.25]), [6, 6, 6]) });
    expect(labels).toEqual([
      { pane: 0, x: 0, y: 0, text: "6", color: "#ffffff" },
      { pane: 0, x: 0, y: 1, text: "2", color: "#10181f" },
    ]);
  });

  test("names module, rank, importance and changes on hover, and knows which module a cell is", () => {
    const { heat, empty } = figure();
    expect(heat.text[0][0]).toContain("0.query");
    expect(heat.text[0][0]).toContain("rank 4 of 6");
    expect(heat.text[0][0]).toContain("mean 0.50, max 0.75");
    expect(heat.text[0][0]).toContain("−2 since the start, 0 in the last pruning");
    expect(empty.text[0][1]).toContain("no live component");
    expect(heat.customdata[1][0]).toBe(2);
  });

  test("draws layer 0 at the top", () => {
    expect(figure().layout.yaxis.range).toEqual([1.5, -0.5]);
  });

  test("colours mean, largest and summed importance", () => {
    const z = (colouring: HeatmapInput["colouring"]) => figure({ colouring, top: 1 }).heat.z[0][0];
    expect([z("mean"), z("max"), z("sum")]).toEqual([0.5, 0.75, 2]);
  });

  test("a change has a scale around 0, and a sign that can be read without colour", () => {
    const since = figure({ colouring: "change" });
    expect(since.heat.z).toEqual([
      [-2, null],
      [-4, null],
    ]);
    expect(since.layout.coloraxis).toMatchObject({ cmin: -6, cmax: 6 });
    expect(since.words).toEqual(["−2", "−4"]);
    const last = figure({ colouring: "difference", top: 2 });
    expect(last.words).toEqual(["+1", "0"]);
  });

  test("has no numbers above the limit, but a plus where the rank has grown", () => {
    const many = Array.from({ length: mostLabelledCells + 1 }, (_, layer) => module(layer, "query"));
    const ranks = many.map((_, index) => 3 + (index % 2));
    const large = {
      modules: many,
      view: view(
        levels(ranks, ranks),
        many.map(() => 3),
      ),
      look: darkLook,
    };
    expect(figure(large).words).toEqual([]);
    expect(new Set(figure({ ...large, colouring: "change" }).words)).toEqual(new Set(["+"]));
  });

  test("marks an importance that is NaN instead of colouring it", () => {
    const { heat, words } = figure({
      modules: modules.slice(0, 1),
      view: view(levels([3], [Number.NaN]), [3]),
      colouring: "mean",
    });
    expect(heat.z).toEqual([[null]]);
    expect(words).toEqual(["NaN"]);
  });

  test("draws encoder and decoder in separate panes, on one scale", () => {
    const { data, layout } = figure({
      modules: [module(0, "q", "encoder"), module(0, "q", "decoder"), module(1, "q", "decoder")],
    });
    const heats = data.filter((trace) => trace.coloraxis);
    expect(heats.map((trace) => trace.yaxis)).toEqual(["y", "y2"]);
    expect(layout.yaxis.domain[0]).toBeGreaterThan(layout.yaxis2.domain[1]);
    expect(layout.annotations.map((one: Loose) => one.text)).toEqual(["encoder", "decoder"]);
  });
});
