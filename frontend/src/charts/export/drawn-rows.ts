import type { Figure } from "@/charts/plot/figure";

interface Line {
  name?: string;
  /** The name as it was given; `name` is the one for Plotly. */
  meta?: string;
  x?: ArrayLike<unknown>;
  y?: ArrayLike<unknown>;
}

/** A row for each point that a figure draws: the series, and both coordinates; a gap has no y. */
export const drawnRows = (figure: Figure): object[] =>
  (figure.data as Line[]).flatMap(({ name, meta, x, y }) =>
    x && y
      ? Array.from(x, (place, index) => ({ series: meta ?? name ?? "", x: place, y: y[index] ?? null }))
      : [],
  );
