import { expect, it } from "vitest";
import { parse } from "yaml";
import { type AskedSweep, askedOf, bodyOf, sweepYaml } from "./request";

const row = { key: 0, values: [], low: null, high: null, count: null };
const asked: AskedSweep = {
  name: " Rates ",
  notes: "",
  config: { method: { target_rank: 2, name: "lora" } },
  rows: [
    { ...row, name: "training.learning_rate", kind: "log", low: 1e-4, high: "3e", count: 4 },
    { ...row, key: 1, name: "method.score", kind: "values", values: ["norm", "2", "true", '["a"]', "null"] },
  ],
  kind: "random",
  options: { "search.points": 10, "search.startup": 5, "stop.hours": null, "stop_runs.patience": 3 },
  seeds: ["0", "7"],
};

it("sends what its kind of search has, typed values, and no empty options", () => {
  expect(bodyOf(asked)).toEqual({
    name: "Rates",
    config: { method: { name: "lora", target_rank: 2 } },
    parameters: {
      "training.learning_rate": { low: 1e-4, high: "3e", scale: "log" },
      "method.score": { values: ["norm", 2, true, ["a"], null] },
    },
    search: { kind: "random", points: 10 },
    seeds: [0, 7],
    stop_runs: { patience: 3 },
  });
});

it("gives a range the number of its values only in a grid", () => {
  const { parameters } = bodyOf({ ...asked, kind: "grid" });
  expect(parameters).toMatchObject({ "training.learning_rate": { count: 4 } });
});

it("reads its own YAML back", () => {
  const body = bodyOf(asked);
  const read = askedOf(parse(sweepYaml(body)));
  if ("error" in read) throw new Error(read.error);
  expect(bodyOf(read)).toEqual(body);
});

it("says what is wrong with the structure", () => {
  const body = bodyOf(asked);
  expect(askedOf([])).toEqual({ error: expect.stringContaining("mapping") });
  expect(askedOf({ ...body, serch: 1 })).toEqual({ error: expect.stringContaining("`serch`") });
  expect(askedOf({ ...body, search: { kind: "gird" } })).toEqual({
    error: expect.stringContaining('"gird"'),
  });
  expect(askedOf({ ...body, parameters: { budget: [1] } })).toEqual({
    error: expect.stringContaining("parameters.budget"),
  });
});
