import { expect, test } from "vitest";
import { barOf } from "./memory-bar";
import recorded from "./preflight.recorded.json";

const memory = recorded.memory as Parameters<typeof barOf>[0];

test("the parts of a recorded estimate fill the bar up to the free memory", () => {
  const free = Math.round(1.25 * memory.total_bytes);
  const { parts, limit } = barOf({ ...memory, free_bytes: free });
  expect(limit).toBe(100);
  expect(parts.map((part) => part.name)).toEqual(Object.keys(memory.parts));
  expect(parts.reduce((sum, part) => sum + part.percent, 0)).toBeCloseTo(80, 3);
});

test("an estimate above the free memory fills the bar, with a mark where the free memory ends", () => {
  const { parts, limit } = barOf({ ...memory, free_bytes: memory.total_bytes / 2 });
  expect(limit).toBe(50);
  expect(parts.reduce((sum, part) => sum + part.percent, 0)).toBeCloseTo(100, 3);
});

test("free memory far above the estimate, or unknown, is not marked", () => {
  for (const free of [100 * memory.total_bytes, null]) {
    const { parts, limit } = barOf({ ...memory, free_bytes: free });
    expect(limit).toBeNull();
    expect(parts.every((part) => part.percent > 0)).toBe(true);
  }
});

test("parts without bytes are left out: there is no adapter if all weights are trained", () => {
  const full = barOf({ ...memory, parts: { ...memory.parts, adapter: 0 } });
  expect(full.parts.map((part) => part.name)).not.toContain("adapter");
});
