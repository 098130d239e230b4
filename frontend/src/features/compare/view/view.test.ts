import { expect, test } from "vitest";
import { paramsOf, viewFrom } from "./view";

test("a view survives the address, and what is usual is not in it", () => {
  expect(paramsOf(viewFrom(new URLSearchParams("runs=a,b"))).toString()).toBe("runs=a%2Cb");
  const full =
    "runs=a,b&group=seed&metrics=eval_f1&axis=time&scale=log&smooth=0.9&of=last&base=b&hidden=a&a=b&b=a&align=budget&at=12&against=eval_f1&cost=trained_s&spread=rank";
  const view = viewFrom(new URLSearchParams(full));
  expect(viewFrom(paramsOf(view))).toEqual(view);
  expect(view).toMatchObject({ bySeed: true, axis: "time", at: 12, cost: "trained_s", of: "last" });
});

test("more than 20 runs are compared in groups", () => {
  const runs = Array.from({ length: 21 }, (_, place) => `r${place}`);
  expect(viewFrom(new URLSearchParams(`runs=${runs}`)).bySeed).toBe(true);
  expect(viewFrom(new URLSearchParams(`runs=${runs.slice(1)}`)).bySeed).toBe(false);
});

test("unknown values are ignored", () => {
  const view = viewFrom(new URLSearchParams("runs=a,a,,b&axis=sideways&at=x&align=no&cost=no&spread=no"));
  expect(view).toMatchObject({
    ...{ runs: ["a", "b"], axis: "step", at: null, align: "step" },
    ...{ cost: "kept_parameters", spread: "layer" },
  });
});
