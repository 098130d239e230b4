// @vitest-environment jsdom
import { expect, test } from "vitest";
import type { MethodInfo, RunConfig } from "@/api/types";
import { methodCalled, numberOption } from "./methods";

const gates: MethodInfo = {
  ...methodCalled("gates", []),
  label: "Gates",
  rank_changes: "at_any_step",
  prunes: true,
};

test("a method is what the API says about it", () => {
  expect(methodCalled("gates", [gates])).toBe(gates);
});

test("a method that the API has not described is called by its name and can't be steered", () => {
  const unknown = methodCalled("new", [gates]);
  expect([unknown.label, unknown.has_ranks, unknown.prunes, unknown.can_be_steered]).toEqual([
    "new",
    true,
    false,
    false,
  ]);
});

test("an option that is missing, unnamed or not a number is null", () => {
  const method = { name: "gates", rank: 4, kind: "x" } as unknown as RunConfig["method"];
  expect(["rank", "kind", "other", null].map((field) => numberOption(method, field))).toEqual([
    4,
    null,
    null,
    null,
  ]);
});
