import type { Data, Layout } from "plotly.js-dist-min";
import type { CellLabel } from "./cell-labels";
import { fontFamily, type Look } from "./look";
import { plainText } from "./plain-text";

export interface Figure {
  data: Partial<Data>[];
  layout: Partial<Layout>;
  /** Texts in cells. */
  labels?: readonly CellLabel[];
}

type Axis = NonNullable<Layout["xaxis"]> & NonNullable<Layout["yaxis"]>;

export function axis(look: Look, more: Partial<Axis> = {}): Partial<Axis> {
  return {
    gridcolor: look.grid,
    linecolor: look.grid,
    zeroline: false,
    tickfont: { size: 11, color: look.muted },
    automargin: true,
    // Checking whether each label fits costs a third of a redraw; the margins make room for them.
    ticklabeloverflow: "allow",
    // Explicit: otherwise Plotly keeps a range from an earlier figure.
    ...(more.range ? {} : { autorange: true }),
    ...more,
  } as Partial<Axis>;
}

/** Layout that all figures share. Plotly keeps the zoom while `uirevision` is unchanged: other axes need another value. */
export function baseLayout(look: Look, more: Partial<Layout> = {}): Partial<Layout> {
  return {
    autosize: true,
    uirevision: "axes",
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: fontFamily, size: 12, color: look.ink },
    margin: { l: 44, r: 12, t: 8, b: 36 },
    hoverlabel: {
      bgcolor: look.surface,
      bordercolor: look.grid,
      font: { family: fontFamily, size: 12, color: look.ink },
      align: "left",
    },
    showlegend: false,
    legend: {
      orientation: "h",
      x: 0,
      y: 1.02,
      xanchor: "left",
      yanchor: "bottom",
      font: { size: 11, color: look.muted },
    },
    dragmode: "zoom",
    ...more,
  } as Partial<Layout>;
}

/** The figure with a title and room for it, for an exported image. */
export function titled(figure: Figure, text: string, look: Look): Figure {
  const { margin, ...layout } = figure.layout;
  const title = {
    text: plainText(text),
    font: { size: 13, color: look.ink },
    x: 0,
    xref: "paper",
    y: 1,
    yanchor: "top",
    pad: { t: 8 },
  };
  const roomier = { ...margin, t: (margin?.t ?? 0) + 36 };
  return { ...figure, layout: { ...layout, title, margin: roomier } as Figure["layout"] };
}
