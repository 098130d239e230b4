import { http, unwrap } from "@/api/client";
import type { TableRow } from "@/api/types";
import { saveFile } from "@/components/files/save-file";
import { csvOf } from "@/components/files/tables";
import type { TableView } from "@/features/runs/query/queries";

const pageSize = 500;

/** Saves all runs of a view, in its order, with its columns. */
export async function exportCsv(view: TableView): Promise<void> {
  const rows: object[] = [];
  let cursor: string | null = null;
  do {
    const { columns, status, method, tag, search, filter, sort } = view;
    const page: { rows: TableRow[]; next_cursor: string | null } = await unwrap(
      http.GET("/api/v1/runs/table", {
        params: {
          query: {
            columns,
            status,
            method,
            tag,
            search,
            filter,
            sort,
            limit: pageSize,
            ...(cursor ? { cursor } : {}),
          },
        },
      }),
    );
    rows.push(...page.rows.map((row) => flat(row, columns)));
    cursor = page.next_cursor;
  } while (cursor);
  saveFile("runs.csv", new Blob([csvOf(rows)], { type: "text/csv" }));
}

const flat = (row: TableRow, columns: readonly string[]): object => ({
  id: row.id,
  name: row.name,
  status: row.status,
  method: row.method,
  model: row.model_id,
  data: row.data_id,
  project: row.project,
  tags: row.tags.join(" "),
  step: row.step,
  total_steps: row.total_steps,
  metric: row.headline.title,
  best: row.headline.best,
  created: new Date(row.created_at * 1000).toISOString(),
  ...Object.fromEntries(columns.map((name, place) => [name, row.cells[place] ?? null])),
});
