import { expect, test } from "vitest";
import type { RunField } from "@/api/types";
import { groupFilter } from "./group-filter";

const fields = ["model", "config.training.seed", "project", "config.method.compact"].map(
  (name) => ({ name }) as RunField,
);

test("a group's condition quotes text and keeps the filter of the table", () => {
  expect(groupFilter("tag = a or tag = b", fields, ['a "b" \\', 1e-7, null, true])).toBe(
    '(tag = a or tag = b) and model = "a \\"b\\" \\\\" and config.training.seed = 1e-7' +
      " and project is null and config.method.compact = true",
  );
  expect(groupFilter("", fields.slice(0, 1), ["m"])).toBe('model = "m"');
});
