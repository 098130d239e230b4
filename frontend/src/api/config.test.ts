import { expect, test } from "vitest";
import { namesFirst, valueAt, withChanges, withValue } from "./config";

test("a value is set by its path without changing the original", () => {
  const before = { data: { id: "a", eval_fraction: 0.1 } };
  const after = withValue(before, "data.id", "b");
  expect(valueAt(before, "data.id")).toBe("a");
  expect(after).toEqual({ data: { id: "b", eval_fraction: 0.1 } });
});

test("changes of several sections replace their fields and keep the others", () => {
  const before = { data: { id: "a" }, training: { learning_rate: 0.1, max_steps: 8 } };
  expect(withChanges(before, { training: { learning_rate: 0.01 }, method: { target_rank: 2 } })).toEqual({
    data: { id: "a" },
    training: { learning_rate: 0.01, max_steps: 8 },
    method: { target_rank: 2 },
  });
  expect(before.training.learning_rate).toBe(0.1);
});

test("the name comes first in each part, and the rest keeps its order", () => {
  const config = { model: { id: "m" }, method: { rank: 4, name: "some", alpha: 8 }, steering: [] };
  expect(JSON.stringify(namesFirst(config))).toBe(
    '{"model":{"id":"m"},"method":{"name":"some","rank":4,"alpha":8},"steering":[]}',
  );
});
