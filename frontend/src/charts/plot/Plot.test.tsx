// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { act, render, screen } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Figure } from "./figure";
import { Plot } from "./Plot";

const plotly = vi.hoisted(() => ({ react: vi.fn(), purge: vi.fn(), Plots: { resize: vi.fn() } }));
vi.mock("plotly.js-cartesian-dist-min", () => ({ default: plotly }));

const figure = (title: string): Figure => ({ data: [], layout: { title: { text: title } } });
const view = (one: Figure) => (
  <MantineProvider env="test">
    <Plot figure={one} label="Loss by step" height={100} />
  </MantineProvider>
);
const drawn = () => plotly.react.mock.calls.map(([, , layout]) => layout.title.text);
const settle = () => act(async () => void (await new Promise((resolve) => setTimeout(resolve))));

let finish: (() => void)[] = [];
beforeEach(() => {
  finish = [];
  plotly.react.mockReset().mockImplementation(() => new Promise<void>((resolve) => finish.push(resolve)));
  plotly.purge.mockReset();
});

test("draws one figure at a time, and only the newest of those that wait", async () => {
  const { rerender } = render(view(figure("first")));
  await settle();
  for (const title of ["second", "third", "fourth"]) rerender(view(figure(title)));
  await settle();
  expect(drawn()).toEqual(["first"]);
  finish[0]?.();
  await settle();
  expect(drawn()).toEqual(["first", "fourth"]);
});

test("gives Plotly a copy of the layout, which it mutates", async () => {
  const one = figure("first");
  render(view(one));
  await settle();
  expect(plotly.react.mock.calls[0]?.[2]).not.toBe(one.layout);
});

test("purges once Plotly has finished drawing, and draws nothing after that", async () => {
  const { rerender, unmount } = render(view(figure("first")));
  await settle();
  rerender(view(figure("second")));
  unmount();
  await settle();
  expect(plotly.purge).not.toHaveBeenCalled();
  finish[0]?.();
  await settle();
  expect(plotly.purge).toHaveBeenCalledOnce();
  expect(drawn()).toEqual(["first"]);
});

test("purges an idle chart at once", async () => {
  const { unmount } = render(view(figure("first")));
  await settle();
  finish[0]?.();
  await settle();
  unmount();
  expect(plotly.purge).toHaveBeenCalledOnce();
});

test("redraws a chart that is out of view once it comes near", async () => {
  let tell: (isIntersecting: boolean) => void = () => {};
  class Viewport {
    constructor(listen: (entries: { isIntersecting: boolean }[]) => void) {
      tell = (isIntersecting) => listen([{ isIntersecting }]);
    }
    observe() {}
    disconnect() {}
  }
  vi.stubGlobal("IntersectionObserver", Viewport);
  plotly.react.mockReset().mockResolvedValue(undefined);
  const { rerender } = render(view(figure("first")));
  tell(false);
  await settle();
  for (const title of ["second", "third"]) {
    rerender(view(figure(title)));
    await settle();
  }
  expect(drawn()).toEqual(["first"]);
  tell(true);
  await settle();
  expect(drawn()).toEqual(["first", "third"]);
  vi.unstubAllGlobals();
});

test("describes the chart for screen readers", async () => {
  render(view(figure("first")));
  await settle();
  expect(screen.getByRole("img", { name: "Loss by step" })).toBeInTheDocument();
});
