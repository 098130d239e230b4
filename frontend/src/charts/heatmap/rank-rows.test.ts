import { expect, test } from "vitest";
import type { Module } from "@/api/types";
import { rankRows } from "./rank-rows";

test("one row per module, with every value that a colour can show", () => {
  const module = { name: "layer.0.query", layer: 0, kind: "query", stack: "" } as Module;
  const levels = { ranks: Uint16Array.of(2), mean: Float32Array.of(0.5), max: Float32Array.of(0.75) };
  const [row] = rankRows([module], { levels, start: [6], before: [3] }, 40);
  expect(row).toMatchObject({
    name: "layer.0.query",
    step: 40,
    rank: 2,
    start_rank: 6,
    importance_mean: 0.5,
    importance_sum: 1,
    change_since_start: -4,
    change_by_last_pruning: -1,
  });
});
