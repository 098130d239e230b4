import { expect, test } from "vitest";
import type { RunTable, TableChanges, TableRow } from "@/api/types";
import { merged } from "./merge-changes";

const row = (id: string, key: TableRow["key"], step = 0): TableRow =>
  ({ id, key, step, name: id, cells: [] }) as unknown as TableRow;
const page = (rows: TableRow[], next_cursor: string | null): RunTable =>
  ({ rows, next_cursor, total: 9, queue: [], changes: "1-1", columns: [], baseline: null }) as RunTable;
const changes = (rows: TableRow[], gone: string[] = []): TableChanges => ({
  rows,
  gone,
  cursor: "2-1",
  total: 8,
  queue: [],
  reset: false,
});
const ids = (pages: RunTable[]) => pages.map((one) => one.rows.map((each) => each.id).join(""));

test("a changed row goes to its place, and one past the loaded rows is left to the next page", () => {
  const data = {
    pages: [page([row("a", 9), row("b", 7)], "x"), page([row("c", 5), row("d", 3)], "y")],
    pageParams: ["", "x"],
  };
  const after = merged(data, changes([row("c", 8, 1), row("n", 9), row("z", 1)], ["b"]), "-step");
  expect(ids(after.pages)).toEqual(["an", "cd"]);
  expect(after.pages[0]).toMatchObject({ total: 8, changes: "2-1" });
});

test("rows without a value come last, and equal ones by id", () => {
  const data = { pages: [page([row("b", 1), row("d", null)], null)], pageParams: [""] };
  const after = merged(data, changes([row("a", 1), row("c", null), row("e", 2)]), "step");
  expect(ids(after.pages)).toEqual(["abecd"]);
});

test("nothing changes if nothing is different but the cursor", () => {
  const data = { pages: [page([row("b", 1)], null)], pageParams: [""] };
  const after = merged(data, { ...changes([]), total: null }, "step");
  expect(after.pages[0]?.rows).toBe(data.pages[0]?.rows);
  expect(after.pages[0]?.total).toBe(9);
});
