import { expect, test } from "vitest";
import { plural } from "./plural";

test("the noun agrees with the number", () => {
  expect(plural(0, "run")).toBe("0 runs");
  expect(plural(1, "run")).toBe("1 run");
  expect(plural(1000, "run")).toBe("1,000 runs");
  expect(plural(2, "entry", "entries")).toBe("2 entries");
});
