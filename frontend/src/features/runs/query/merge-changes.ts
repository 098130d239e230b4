import type { InfiniteData } from "@tanstack/react-query";
import type { RunTable, TableChanges, TableRow } from "@/api/types";

type Key = TableRow["key"];

/** The order of the table: runs without a value come last in both directions, and equal ones are ordered by id. */
export function comesBefore(a: TableRow, b: TableRow, isFalling: boolean): boolean {
  const order = a.key === null || b.key === null ? Number(a.key === null) - Number(b.key === null) : 0;
  if (order !== 0) return order < 0;
  const byKey = compared(a.key, b.key) * (isFalling ? -1 : 1);
  return byKey !== 0 ? byKey < 0 : a.id < b.id;
}

function compared(a: Key, b: Key): number {
  if (a === b || a === null || b === null) return 0;
  return a < b ? -1 : 1;
}

/** The loaded pages after these changes: a changed row moves to its new place, or out of the loaded rows. */
export function merged<Param>(
  data: InfiniteData<RunTable, Param>,
  changes: TableChanges,
  sort: string,
): InfiniteData<RunTable, Param> {
  const [first] = data.pages;
  if (!first) return data;
  const isSame = changes.rows.length === 0 && changes.gone.length === 0;
  const queue = String(first.queue) === String(changes.queue) ? first.queue : changes.queue;
  if (isSame && queue === first.queue && changes.cursor === first.changes) return data;
  const pages = isSame ? [...data.pages] : moved(data.pages, changes, sort.startsWith("-"));
  const start = pages[0] ?? first;
  pages[0] = { ...start, changes: changes.cursor, total: changes.total ?? start.total, queue };
  return { ...data, pages };
}

function moved(pages: RunTable[], changes: TableChanges, isFalling: boolean): RunTable[] {
  const out = new Set([...changes.gone, ...changes.rows.map((row) => row.id)]);
  const rows = pages.flatMap((page) => page.rows);
  const last = rows.at(-1);
  const hasMore = (pages.at(-1)?.next_cursor ?? null) !== null;
  const kept = rows.filter((row) => !out.has(row.id));
  for (const row of changes.rows) {
    // Beyond the last loaded row it is read with the next page.
    if (hasMore && last && last.id !== row.id && !comesBefore(row, last, isFalling)) continue;
    const place = kept.findIndex((other) => comesBefore(row, other, isFalling));
    if (place < 0) kept.push(row);
    else kept.splice(place, 0, row);
  }
  let start = 0;
  return pages.map((page, index) => {
    const end = index === pages.length - 1 ? kept.length : start + page.rows.length;
    const own = kept.slice(start, end);
    start = end;
    return { ...page, rows: own };
  });
}
