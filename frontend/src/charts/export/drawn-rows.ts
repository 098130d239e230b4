import type { Figure } from "@/charts/plot/figure";

interface Line {
  name?: string;
  /** The original name; `name` is escaped for Plotly. */
  meta?: string;
  x?: ArrayLike<unknown>;
  y?: ArrayLike<unknown>;
}

/** A row for each point that a figure draws: series, x and y; y is null in a gap. */
export const drawnRows = (figure: Figure): object[] =>
  (figure.data as Line[]).flatMap(({ name, meta, x, y }) =>
    x && y
      ? Array.from(x, (place, index) => ({ series: meta ?? name ?? "", x: place, y: y[index] ?? null }))
      : [],
  );
