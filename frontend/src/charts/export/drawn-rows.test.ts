import { expect, test } from "vitest";
import { drawnRows } from "./drawn-rows";

test("one row per point, for every series that has points", () => {
  const figure = {
    data: [
      { name: "planned", x: [0, 10], y: [8, 4] },
      { name: "live", x: Uint16Array.of(0), y: [null] },
      { type: "heatmap" as const, z: [[1]] },
    ],
    layout: {},
  };
  expect(drawnRows(figure as never)).toEqual([
    { series: "planned", x: 0, y: 8 },
    { series: "planned", x: 10, y: 4 },
    { series: "live", x: 0, y: null },
  ]);
});
