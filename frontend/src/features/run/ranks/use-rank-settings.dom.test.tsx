// @vitest-environment jsdom
import { act, renderHook, waitFor } from "@testing-library/react";
import { BrowserRouter } from "react-router";
import { expect, test } from "vitest";
import { useRankSettings } from "./use-rank-settings";

const shown = (address: string) => {
  window.history.replaceState(null, "", address);
  return renderHook(() => useRankSettings(), { wrapper: BrowserRouter }).result;
};
const pause = () => act(() => new Promise((resolve) => setTimeout(resolve, 400)));

test("a step enters the address after a pause", async () => {
  const settings = shown("/runs/a?tab=log");
  act(() => settings.current[1]({ at: 7 }));
  await waitFor(() => expect(window.location.search).toBe("?tab=log&step=7"));
});

test("a choice enters the address at once, with a step that waits", () => {
  const settings = shown("/runs/a?step=3");
  act(() => settings.current[1]({ at: 7 }));
  expect(window.location.search).toBe("?step=3");
  act(() => settings.current[1]({ colouring: "difference" }));
  expect(window.location.search).toBe("?step=7&colour=difference");
});

test("a tab that is chosen in the meantime, and not rendered yet, is kept", async () => {
  const settings = shown("/runs/a");
  act(() => settings.current[1]({ at: 7 }));
  window.history.replaceState(null, "", "/runs/a?tab=try");
  await waitFor(() => expect(window.location.search).toBe("?tab=try&step=7"));
});

test("another page that is opened in the meantime is kept as it is", async () => {
  const settings = shown("/runs/a");
  act(() => settings.current[1]({ at: 7 }));
  window.history.replaceState(null, "", "/new");
  await pause();
  expect(window.location.href).toMatch(/\/new$/);
});
