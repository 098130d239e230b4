import { isActive } from "@/api/active-runs";
import type { RunStatus } from "@/api/types";
import type { TableView } from "./queries";

export const statuses: readonly RunStatus[] = [
  "queued",
  "starting",
  "running",
  "stopping",
  "done",
  "stopped",
  "interrupted",
  "failed",
];

const defaultSort = "-created";
export const defaultColumns = ["mean_rank"];

/** The table's view from the address; unknown values are ignored. */
export function viewFrom(params: URLSearchParams): TableView {
  return {
    status: params.getAll("status").filter((word): word is RunStatus => statuses.includes(word as RunStatus)),
    method: params.getAll("method"),
    tag: params.getAll("tag"),
    group: params.getAll("group").filter(Boolean),
    search: params.get("search") ?? "",
    filter: params.get("filter") ?? "",
    sort: params.get("sort") ?? defaultSort,
    columns: params.has("column") ? params.getAll("column").filter(Boolean) : defaultColumns,
    baseline: params.get("baseline") ?? "",
  };
}

/** The address of a view; defaults are omitted. */
export function paramsOf(view: TableView): URLSearchParams {
  const params = new URLSearchParams();
  for (const name of ["status", "method", "tag", "group"] as const) {
    for (const word of view[name]) params.append(name, word);
  }
  for (const name of ["search", "filter", "baseline"] as const) {
    if (view[name]) params.set(name, view[name]);
  }
  if (String(view.columns) !== String(defaultColumns)) {
    for (const column of view.columns.length ? view.columns : [""]) params.append("column", column);
  }
  if (view.sort !== defaultSort) params.set("sort", view.sort);
  return params;
}

export const isFiltered = (view: TableView): boolean =>
  view.status.length + view.method.length + view.tag.length > 0 || view.search !== "" || view.filter !== "";

/** First click: the useful direction (numbers and times descending); second click: the other. */
export function nextSort(current: string, field: string, startsDescending: boolean): string {
  if (current === `-${field}`) return field;
  if (current === field) return `-${field}`;
  return startsDescending ? `-${field}` : field;
}

/** Most runs, or groups of runs over seeds, that the API compares. */
export const mostCompared = 20;
/** Most runs in these groups. */
export const mostGrouped = 100;

const stoppable: readonly RunStatus[] = ["queued", "interrupted", "starting", "running"];

/** Only to enable buttons; the API decides. */
export const canStop = (status: RunStatus) => stoppable.includes(status);
export const canDelete = (status: RunStatus) => !isActive(status);
