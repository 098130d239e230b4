import type { Module } from "@/api/types";

/** layer: rows are layers, columns are kinds. kind: the reverse. rank: as layer, with the highest ranks first. */
export type ModuleOrder = "layer" | "kind" | "rank";

/** One matrix; encoder and decoder have one each. */
export interface GridPane {
  /** The stack; empty when there is only one. */
  title: string;
  rows: string[];
  columns: string[];
}

/** The position of each module in the heatmap. */
export interface ModuleGrid {
  panes: GridPane[];
  /** By module index. */
  places: Place[];
  /** Module indices in reading order: pane by pane, row by row. */
  reading: number[];
}

export interface Place {
  pane: number;
  row: number;
  column: number;
}

/** Kinds are in the order of the forward pass. `ranks`, by module, decide the order "rank". */
export function moduleGrid(
  modules: readonly Module[],
  order: ModuleOrder = "layer",
  ranks: ArrayLike<number> = [],
): ModuleGrid {
  const stacks = [...new Set(modules.map((module) => module.stack))];
  const panes = stacks.map(
    (stack): GridPane => ({ title: stacks.length > 1 ? stack || "other" : "", rows: [], columns: [] }),
  );
  const taken = new Set<string>();
  let places = modules.map((module): Place => {
    const pane = stacks.indexOf(module.stack);
    const { rows, columns } = panes[pane] as GridPane;
    const row = indexIn(rows, layerWord(module));
    // Two modules of one kind in one layer (experts) get separate columns.
    let name = module.kind;
    for (let twin = 2; taken.has(`${pane}/${row}/${name}`); twin++) name = `${module.kind} (${twin})`;
    taken.add(`${pane}/${row}/${name}`);
    return { pane, row, column: indexIn(columns, name) };
  });
  if (order === "kind") {
    for (const pane of panes) [pane.rows, pane.columns] = [pane.columns, pane.rows];
    places = places.map(({ pane, row, column }) => ({ pane, row: column, column: row }));
  }
  if (order === "rank") places = sortByRank(panes, places, ranks);
  return { panes, places, reading: readingOrder(places) };
}

export const layerWord = (module: Module): string => (module.layer === null ? "other" : String(module.layer));

function sortByRank(panes: GridPane[], places: readonly Place[], ranks: ArrayLike<number>): Place[] {
  const moved = panes.map((pane, at) => {
    const own = places.flatMap((place, module) =>
      place.pane === at ? [{ ...place, rank: ranks[module] ?? 0 }] : [],
    );
    const rows = descending(pane.rows.length, (row) => own.filter((one) => one.row === row));
    const columns = descending(pane.columns.length, (column) => own.filter((one) => one.column === column));
    pane.rows = rows.map((row) => pane.rows[row] ?? "");
    pane.columns = columns.map((column) => pane.columns[column] ?? "");
    return { rows, columns };
  });
  return places.map(({ pane, row, column }) => ({
    pane,
    row: moved[pane]?.rows.indexOf(row) ?? row,
    column: moved[pane]?.columns.indexOf(column) ?? column,
  }));
}

/** Indices sorted by mean rank, the highest first; the sort is stable. */
function descending(length: number, members: (index: number) => { rank: number }[]): number[] {
  const means = Array.from({ length }, (_, index) => {
    const own = members(index);
    return own.reduce((sum, one) => sum + one.rank, 0) / Math.max(1, own.length);
  });
  return means.map((_, index) => index).sort((one, other) => (means[other] ?? 0) - (means[one] ?? 0));
}

const readingOrder = (places: readonly Place[]): number[] =>
  places
    .map((_, module) => module)
    .sort((one, other) => {
      const [a, b] = [places[one] as Place, places[other] as Place];
      return a.pane - b.pane || a.row - b.row || a.column - b.column;
    });

function indexIn(names: string[], name: string): number {
  const index = names.indexOf(name);
  return index === -1 ? names.push(name) - 1 : index;
}
