// @vitest-environment jsdom
import { expect, test, vi } from "vitest";
import { type CellLabel, drawLabels, labelTraces } from "./cell-labels";

const label = (more: Partial<CellLabel>): CellLabel => ({
  ...{ pane: 0, x: 0, y: 0, text: "4", color: "#ffffff" },
  ...more,
});

/** A chart of two panes, with cells 20 wide and 10 high. */
function drawing() {
  const root = document.createElement("div");
  root.append(Object.assign(document.createElement("div"), { className: "gl-container" }));
  const axis = (offset: number, length: number, cell: number) => ({
    ...{ _offset: offset, _length: length },
    d2p: (value: number) => (value + 0.5) * cell,
  });
  const written: unknown[] = [];
  const context = {
    scale: vi.fn(),
    measureText: (text: string) => ({ width: 7 * text.length }),
    fillStyle: "",
    fillText: (...word: unknown[]) => written.push([...word, context.fillStyle]),
  };
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(context as never);
  const _fullLayout = {
    ...{ xaxis: axis(100, 40, 20), yaxis: axis(50, 20, 10) },
    ...{ xaxis2: axis(100, 40, 20), yaxis2: axis(200, 20, 10) },
  };
  return { root: Object.assign(root, { _fullLayout }), written };
}

test("a label is in the middle of its cell, in its own pane", () => {
  const { root, written } = drawing();
  drawLabels(root, [label({}), label({ pane: 1, x: 1, y: 1, text: "2", color: "#10181f" })]);
  expect(written).toEqual([
    ["4", 110, 56, "#ffffff"],
    ["2", 130, 216, "#10181f"],
  ]);
});

test("what is outside of the zoomed range or wider than its cell is not drawn, and every draw uses the same canvas", () => {
  const { root, written } = drawing();
  drawLabels(root, [label({ x: 2 }), label({ y: -1 }), label({ text: "4.4" })]);
  drawLabels(root, []);
  expect(written).toEqual([]);
  expect(root.querySelectorAll("canvas")).toHaveLength(1);
});

test("an exported image has the labels as traces, one for each pane and colour", () => {
  const traces = labelTraces([label({}), label({ x: 1 }), label({ pane: 1 }), label({ color: "#000000" })]);
  expect(traces).toMatchObject([
    { xaxis: "x", x: [0, 1], text: ["4", "4"], textfont: { color: "#ffffff" } },
    { xaxis: "x2", x: [0] },
    { xaxis: "x", textfont: { color: "#000000" } },
  ]);
});
