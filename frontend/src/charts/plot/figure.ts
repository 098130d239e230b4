import type { Data, Layout } from "plotly.js-dist-min";
import type { CellLabel } from "./cell-labels";
import { fontFamily, type Look } from "./look";
import { plainText } from "./plain-text";

export interface Figure {
  data: Partial<Data>[];
  layout: Partial<Layout>;
  /** Words in cells. */
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
    // Asking whether each label fits costs a third of a redraw; the margins make them fit.
    ticklabeloverflow: "allow",
    // Said and not left out: Plotly would stay at a range that was asked for once, and no longer is.
    ...(more.range ? {} : { autorange: true }),
    ...more,
  } as Partial<Axis>;
}

/** What all figures share. A person's zoom stays as long as `uirevision` does: other axes need another. */
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

/** The figure under a title, with the room for it: for a picture that stands alone. */
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
