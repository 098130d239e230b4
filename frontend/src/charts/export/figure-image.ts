import { labelTraces } from "@/charts/plot/cell-labels";
import type { Figure } from "@/charts/plot/figure";
import { loadPlotly } from "@/charts/plot/load-plotly";
import type { Look } from "@/charts/plot/look";

export interface ImageSize {
  width: number;
  height: number;
  /** Image pixels per CSS pixel; vector formats need none. */
  scale?: number;
}

/** A figure as an image on the look's background, as a data: URL. */
export async function figureImage(
  figure: Figure,
  format: "png" | "svg",
  look: Look,
  { width, height, scale = 1 }: ImageSize,
): Promise<string> {
  const plotly = await loadPlotly();
  const layout = { ...figure.layout, autosize: false, width, height, paper_bgcolor: look.surface };
  // With a gap Plotly draws grid cells as shapes; without it, as a bitmap with one pixel per cell, which SVG viewers may blur.
  const cells = figure.data.map((trace) =>
    trace.type === "heatmap" && !("x" in trace) ? { ...trace, xgap: 1, ygap: 1 } : trace,
  );
  const data = [...cells, ...labelTraces(figure.labels ?? [])];
  return plotly.toImage({ data, layout } as never, { format, width, height, scale });
}
