// @vitest-environment jsdom
import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useCalm } from "./use-calm";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());
const pass = (ms: number) => act(() => void vi.advanceTimersByTime(ms));

/** What is shown of a value that changes four times a second and need not be newer than a second. */
function shownValues(): number[] {
  const seen: number[] = [];
  const { rerender } = renderHook(
    ({ value }) => {
      const calm = useCalm(value, 1000);
      if (seen.at(-1) !== calm) seen.push(calm);
    },
    { initialProps: { value: 0 } },
  );
  for (let value = 1; value <= 12; value++) {
    rerender({ value });
    pass(250);
  }
  pass(1000);
  return seen;
}

test("a value that changes four times a second is updated once a second, with the newest", () => {
  expect(shownValues()).toEqual([0, 1, 4, 8, 12]);
});

test("on a page that needs half a second to draw it, it is updated every two seconds", () => {
  window.requestIdleCallback = (done) => setTimeout(done, 500) as unknown as number; // which jsdom does not have
  expect(shownValues()).toEqual([0, 1, 8, 12]);
  Reflect.deleteProperty(window, "requestIdleCallback");
});

test("a value that need not rest is shown at once", () => {
  const { result, rerender } = renderHook(({ value, restMs }) => useCalm(value, restMs), {
    initialProps: { value: 0, restMs: 1000 },
  });
  rerender({ value: 1, restMs: 0 });
  expect(result.current).toBe(1);
});
