import { expect, test } from "vitest";
import { difference } from "./MemoryPanel";

test("the error of an estimate is relative to what was measured, with its direction", () => {
  expect(difference(110, 100)).toBe("the estimate was 10 % too high");
  expect(difference(75, 100)).toBe("the estimate was 25 % too low");
  expect(difference(100.4, 100)).toBe("the estimate was right to within one percent");
});
