import { expect, it } from "vitest";
import { type Asked, optionsOf, patternIn, requestOf } from "./request";

const asked: Asked = {
  name: " Does it help? ",
  draft: { model: { id: "m" } },
  methods: [
    { key: 1, method: "one", options: "init=zero_b, eta = 0,flag=true", pattern: null },
    { key: 2, method: "two", options: "", pattern: { name: "mine.json", ranks: { a: 3 } } },
  ],
  budgets: ["2", "4"],
  seeds: 3,
  margin: 0.5,
  trials: 6,
  lowestRate: 1e-4,
  highestRate: 1e-2,
  controls: [],
  looks: 2,
};

it("asks for what the form has, with seeds of tuning that are not seeds of the result", () => {
  const request = requestOf(asked, true);
  expect(request.name).toBe("Does it help?");
  expect(request.planned_looks).toBe(2);
  expect(request.seeds).toEqual([0, 1, 2]);
  expect(request.budgets).toEqual([2, 4]);
  expect(request.margin).toBeCloseTo(0.005);
  expect(requestOf(asked, false).margin).toBe(0.5);
  expect(request.tuning.seeds.some((seed) => request.seeds.includes(seed))).toBe(false);
  expect(request.methods).toEqual([
    { method: "one", options: { init: "zero_b", eta: 0, flag: true } },
    { method: "two", name: "mine.json", options: { rank_pattern: { a: 3 } } },
  ]);
});

it("leaves an option without a value to the API, which names it", () => {
  expect(optionsOf("eta")).toEqual({ eta: null });
});

it("reads plain ranks and those in a configuration of PEFT, and says what is wrong", () => {
  expect(patternIn('{"a.b": 2, "c": 0}')).toEqual({ "a.b": 2, c: 0 });
  expect(patternIn('{"r": 8, "rank_pattern": {"^a\\\\.b": 2}}')).toEqual({ "^a\\.b": 2 });
  expect(patternIn("a: 2")).toBe("It is not JSON.");
  expect(patternIn("[1]")).toMatch(/no ranks/);
  expect(patternIn('{"a": 1.5}')).toBe("The rank of a is 1.5, not a whole number.");
});
