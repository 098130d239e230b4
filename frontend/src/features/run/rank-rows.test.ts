import { expect, test } from "vitest";
import type { Module } from "@/api/types";
import { filmFrames } from "./film-frames";
import { rankRows } from "./rank-rows";

test("a row a module, with what every colour shows", () => {
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

test("a film has both ends, then the prunings, then others, sixty at most", () => {
  const snapshots = Array.from({ length: 500 }, (_, at) => ({ pruning: at % 20 === 19 }));
  const frames = filmFrames(snapshots);
  expect(frames).toHaveLength(60);
  expect(frames).toEqual(expect.arrayContaining([0, 499, 19, 39, 239, 459, 479]));
  expect(frames).toEqual([...frames].sort((one, other) => one - other));
  expect(filmFrames(snapshots.slice(0, 3))).toEqual([0, 1, 2]);
});
