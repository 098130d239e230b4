import { describe, expect, test } from "vitest";
import type { Module } from "@/api/types";
import { moduleGrid } from "./module-grid";

const module = (layer: number | null, kind: string, stack = ""): Module => ({
  name: `${stack}${layer}.${kind}`,
  layer,
  kind,
  stack,
  out_features: 8,
  in_features: 4,
});
const modules = [module(0, "query"), module(0, "value"), module(1, "query"), module(null, "pooler")];

describe("moduleGrid", () => {
  test("puts layers down and kinds across in the order of the forward pass", () => {
    const grid = moduleGrid(modules);
    expect(grid.panes).toEqual([
      { title: "", rows: ["0", "1", "other"], columns: ["query", "value", "pooler"] },
    ]);
    expect(grid.places[3]).toEqual({ pane: 0, row: 2, column: 2 });
    expect(grid.reading).toEqual([0, 1, 2, 3]);
  });

  test("shows encoder and decoder separately, and two modules of one kind in one layer next to each other", () => {
    const grid = moduleGrid([
      module(0, "up", "encoder"),
      module(0, "up", "decoder"),
      module(0, "up", "decoder"),
    ]);
    expect(grid.panes).toEqual([
      { title: "encoder", rows: ["0"], columns: ["up"] },
      { title: "decoder", rows: ["0"], columns: ["up", "up (2)"] },
    ]);
    expect(grid.places.map(({ pane }) => pane)).toEqual([0, 1, 1]);
  });

  test("by kind: rows are kinds, columns are layers", () => {
    const grid = moduleGrid(modules, "kind");
    expect(grid.panes[0]).toMatchObject({
      rows: ["query", "value", "pooler"],
      columns: ["0", "1", "other"],
    });
    expect(grid.places[2]).toEqual({ pane: 0, row: 0, column: 1 });
    expect(grid.reading).toEqual([0, 2, 1, 3]);
  });

  test("by rank: the layers and kinds with the highest mean rank come first", () => {
    const grid = moduleGrid(modules, "rank", [1, 2, 7, 4]);
    expect(grid.panes[0]).toMatchObject({
      rows: ["1", "other", "0"],
      columns: ["query", "pooler", "value"],
    });
    expect(grid.places[2]).toEqual({ pane: 0, row: 0, column: 0 });
  });
});
