import { expect, test } from "vitest";
import { previewOf } from "./import-preview";

const line = (more: object) =>
  JSON.stringify({ variant: "plain", budget: 2, seed: 0, accuracy: 0.8, ...more });

test("the metrics are the numbers that every line has", () => {
  const found = previewOf(
    [line({ f1: 0.7, note: "x" }), line({ f1: 0.6, loss: 1 }), "", line({ variant: "new", f1: 0.5 })].join(
      "\n",
    ),
  );
  expect(found.metrics).toEqual(["accuracy", "f1"]);
  expect(found.variants).toEqual(["plain", "new"]);
  expect([found.metric, found.baseline]).toEqual([null, null]);
});

test("a design in the first line chooses, and so does a single possibility", () => {
  const design = JSON.stringify({ design: { metric: "f1", baseline: "new" } });
  const found = previewOf(`${design}\n${line({ f1: 0.5 })}\n{broken\n${line({ variant: "new", f1: 0.5 })}`);
  expect([found.metric, found.baseline]).toEqual(["f1", "new"]);
  expect(previewOf(line({})).metric).toBe("accuracy");
  expect(previewOf(line({})).baseline).toBe("plain");
});

test("a file without results offers nothing", () => {
  expect(previewOf("not JSON\n[1]")).toEqual({ metrics: [], variants: [], metric: null, baseline: null });
});
