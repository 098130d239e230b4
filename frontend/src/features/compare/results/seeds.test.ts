import { expect, test } from "vitest";
import { nameWithSeed, nextSeeds } from "./seeds";

test("seeds that have a run are skipped", () => {
  expect(nextSeeds([0, 2], 3)).toEqual([1, 3, 4]);
});

test("a seed at the end of a name is replaced, and others are added", () => {
  expect(nameWithSeed("LoRA 4, seed 0", 3)).toBe("LoRA 4, seed 3");
  expect(nameWithSeed("LoRA (seed=12)", 3)).toBe("LoRA, seed 3");
  expect(nameWithSeed("seedless", 3)).toBe("seedless, seed 3");
  expect(nameWithSeed("seed 1", 3)).toBe("seed 1, seed 3");
});
