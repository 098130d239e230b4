import { labelTraces } from "@/charts/plot/cell-labels";
import type { Figure } from "@/charts/plot/figure";
import { loadPlotly } from "@/charts/plot/load-plotly";
import type { Look } from "@/charts/plot/look";

export interface ImageSize {
  width: number;
  height: number;
  /** Pixels of the picture to one of the size; drawings need none. */
  scale?: number;
}

/** A figure as a picture on the look's own background, as a data: address. */
export async function figureImage(
  figure: Figure,
  format: "png" | "svg",
  look: Look,
  { width, height, scale = 1 }: ImageSize,
): Promise<string> {
  const plotly = await loadPlotly();
  const layout = { ...figure.layout, autosize: false, width, height, paper_bgcolor: look.surface };
  // With a gap Plotly draws the cells of a grid at their size: what shows an SVG may blur a picture of one pixel a cell.
  const cells = figure.data.map((trace) =>
    trace.type === "heatmap" && !("x" in trace) ? { ...trace, xgap: 1, ygap: 1 } : trace,
  );
  const data = [...cells, ...labelTraces(figure.labels ?? [])];
  return plotly.toImage({ data, layout } as never, { format, width, height, scale });
}
