import { axesOf } from "./axes";
import { fontFamily } from "./look";

/** A text in a cell of a figure. */
export interface CellLabel {
  /** Index of the pane. */
  pane: number;
  /** Centre of the cell, in the units of the pane's axes. */
  x: number;
  y: number;
  text: string;
  color: string;
}

const size = 12;

interface DrawnAxis {
  _offset: number;
  _length: number;
  d2p: (value: number) => number;
}

/**
 * Draws the labels on a canvas over the chart, below the hover labels.
 *
 * Plotly creates, styles and measures an element for every text: with 224 of them that is half of a redraw.
 */
export function drawLabels(root: HTMLElement, labels: readonly CellLabel[]): void {
  // Plotly's container for canvases, between the drawing and the hover labels.
  const layer = root.querySelector(".gl-container");
  let canvas = layer?.querySelector<HTMLCanvasElement>("canvas.cell-labels") ?? null;
  if (!layer || (!canvas && labels.length === 0)) return;
  if (!canvas) {
    canvas = document.createElement("canvas");
    canvas.className = "cell-labels";
    layer.append(canvas);
  }
  const { clientWidth: width, clientHeight: height } = root;
  const ratio = window.devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  const drawn = (root as unknown as { _fullLayout?: Record<string, DrawnAxis | undefined> })._fullLayout;
  if (!context || !drawn) return;
  context.scale(ratio, ratio);
  context.font = `${size}px ${fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { pane, x, y, text, color } of labels) {
    const { xaxis, yaxis } = axesOf(pane);
    const across = drawn[xaxis.replace("x", "xaxis")];
    const down = drawn[yaxis.replace("y", "yaxis")];
    const left = across?.d2p(x) ?? -1;
    const top = down?.d2p(y) ?? -1;
    // Skip what is outside of the zoomed range.
    if (!across || !down || left < 0 || left > across._length || top < 0 || top > down._length) continue;
    // A number that is wider than its cell would cover its neighbours.
    if (context.measureText(text).width > Math.abs(across.d2p(x + 1) - left)) continue;
    context.fillStyle = color;
    context.fillText(text, across._offset + left, down._offset + top + 1);
  }
}

/** The same labels as traces, for exported images. */
export const labelTraces = (labels: readonly CellLabel[]): object[] =>
  [...new Set(labels.map(({ pane, color }) => `${pane} ${color}`))].map((group) => {
    const mine = labels.filter(({ pane, color }) => `${pane} ${color}` === group);
    return {
      type: "scatter",
      mode: "text",
      ...axesOf(mine[0]?.pane ?? 0),
      x: mine.map((label) => label.x),
      y: mine.map((label) => label.y),
      text: mine.map((label) => label.text),
      textfont: { color: mine[0]?.color, size },
      hoverinfo: "skip",
      showlegend: false,
    };
  });
