import { expect, test } from "vitest";
import { nextSort, paramsOf, viewFrom } from "./view";

test("a view can be restored from its address", () => {
  const filter = {
    status: ["failed" as const, "done" as const],
    method: ["lora"],
    tag: ["a b"],
    group: ["setup", "config.method.target_rank"],
    search: "seed 1",
    filter: "metrics.eval_loss.min < 0.5 and tag = a",
    sort: "name",
    columns: ["config.training.seed", 'metrics."a, b".max'],
    baseline: "k7wq2m9x",
  };
  expect(viewFrom(new URLSearchParams(paramsOf(filter).toString()))).toEqual(filter);
});

test("the default view has an empty address, and unknown values are ignored", () => {
  expect(paramsOf(viewFrom(new URLSearchParams("status=nonsense"))).toString()).toBe("");
});

test("the second click reverses the sort", () => {
  expect(nextSort("-created_at", "name", false)).toBe("name");
  expect(nextSort("name", "name", false)).toBe("-name");
  expect(nextSort("name", "step", true)).toBe("-step");
  expect(nextSort("-step", "step", true)).toBe("step");
});
