import type { Module } from "@/api/types";

/** Where each module stands in the heatmap: layers down, kinds across in the order of the forward pass. */
export interface ModuleGrid {
  rows: string[];
  columns: string[];
  /** By module index. */
  places: { row: number; column: number }[];
}

export function moduleGrid(modules: readonly Module[]): ModuleGrid {
  const hasStacks = new Set(modules.map((module) => module.stack)).size > 1;
  const rows: string[] = [];
  const columns: string[] = [];
  const taken = new Set<string>();
  const places = modules.map((module) => {
    const layer = module.layer === null ? "other" : String(module.layer);
    const row = indexIn(rows, hasStacks && module.stack ? `${module.stack} ${layer}` : layer);
    // Two modules of one kind in one layer (experts) get columns of their own.
    let name = module.kind;
    for (let twin = 2; taken.has(`${row}/${name}`); twin++) name = `${module.kind} (${twin})`;
    taken.add(`${row}/${name}`);
    return { row, column: indexIn(columns, name) };
  });
  return { rows, columns, places };
}

function indexIn(names: string[], name: string): number {
  const index = names.indexOf(name);
  return index === -1 ? names.push(name) - 1 : index;
}
