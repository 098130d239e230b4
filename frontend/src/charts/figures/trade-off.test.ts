import { expect, test } from "vitest";
import { lightLook } from "@/charts/plot/look";
import { paretoFront, type TradeOff, tradeOffFigure } from "./trade-off";

const point = (name: string, cost: number, value: number, sd: number | null = null): TradeOff => ({
  ...{ name, cost, value, sd },
  colour: "#000000",
});
const points = [
  point("c", 30, 0.9),
  point("a", 10, 0.7),
  point("worse", 20, 0.6),
  point("b", 20, 0.8),
  point("same", 40, 0.9),
];
const names = (front: TradeOff[]) => front.map(({ name }) => name);

test("the front has what no other beats in both cost and value", () => {
  expect(names(paretoFront(points, false))).toEqual(["a", "b", "c"]);
  expect(names(paretoFront(points, true))).toEqual(["a", "worse"]);
  expect(paretoFront([], false)).toEqual([]);
});

test("points on the front are filled, and a spread has whiskers", () => {
  const figure = tradeOffFigure({
    points: [point("a", 10, 0.7, 0.01), point("worse", 20, 0.6)],
    ...{ lowerIsBetter: false, costTitle: "kept", valueTitle: "accuracy", costText: String, look: lightLook },
  });
  const [front, a, worse] = figure.data as unknown as {
    x: number[];
    marker: { color: string };
    error_y?: { array: number[] };
  }[];
  expect(front?.x).toEqual([10]);
  expect([a?.marker.color, worse?.marker.color]).toEqual(["#000000", lightLook.surface]);
  expect([a?.error_y?.array, worse?.error_y]).toEqual([[0.01], undefined]);
});
