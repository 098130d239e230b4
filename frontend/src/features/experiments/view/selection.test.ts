import { expect, test } from "vitest";
import { paramsOf, selectionOf } from "./selection";

test("a selection is the same after its way through the address", () => {
  const selection = { task: "a & b", budget: 2.5, variants: ["x, y", "z"] };
  expect(selectionOf(new URLSearchParams(paramsOf(selection).toString()))).toEqual(selection);
  expect(selectionOf(paramsOf({}))).toEqual({});
  expect(selectionOf(new URLSearchParams("budget=two"))).toEqual({});
});
