import { expect, test } from "vitest";
import { agreementText, uniformOf } from "./agreement";

test("a correlation is called more than chance only above what unrelated allocations reach", () => {
  expect(agreementText(0.3, 36, null)).toContain("No more alike than chance");
  // 1.96 / sqrt(35) = 0.33; with more modules, less is enough.
  expect(agreementText(0.35, 36, null)).toContain("Weakly alike");
  expect(agreementText(0.3, 224, null)).toContain("Weakly alike");
  expect(agreementText(0.95, 36, null)).toContain("Nearly the same order");
  expect(agreementText(-0.6, 36, null)).toContain("Opposite");
});

test("without an order there is nothing to correlate", () => {
  expect(uniformOf([4, 4, 4], [1, 2, 3])).toBe("A");
  expect(uniformOf([4, 4], [2, 2])).toBe("both");
  expect(uniformOf([1, 2], [2, 1])).toBeNull();
  expect(agreementText(Number.NaN, 36, "A")).toContain("Run A gives every shared module the same rank");
  expect(agreementText(Number.NaN, 2, null)).toContain("fewer than three modules");
});
