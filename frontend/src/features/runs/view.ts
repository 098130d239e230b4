import { isActive } from "@/api/active-runs";
import type { RunStatus } from "@/api/types";
import type { RunFilter } from "./queries";

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

const defaultSort = "-created_at";

/** The table's view from the address; unknown values are ignored. */
export function filterFrom(params: URLSearchParams): RunFilter {
  return {
    status: params.getAll("status").filter((word): word is RunStatus => statuses.includes(word as RunStatus)),
    method: params.getAll("method"),
    tag: params.getAll("tag"),
    search: params.get("search") ?? "",
    sort: params.get("sort") ?? defaultSort,
  };
}

/** The address of a view; defaults are omitted. */
export function paramsOf(filter: RunFilter): URLSearchParams {
  const params = new URLSearchParams();
  for (const name of ["status", "method", "tag"] as const) {
    for (const word of filter[name]) params.append(name, word);
  }
  if (filter.search) params.set("search", filter.search);
  if (filter.sort !== defaultSort) params.set("sort", filter.sort);
  return params;
}

export const isFiltered = (filter: RunFilter): boolean =>
  filter.status.length + filter.method.length + filter.tag.length > 0 || filter.search !== "";

/** First click: the useful direction (numbers and times descending); second click: the other. */
export function nextSort(current: string, field: string, startsDescending: boolean): string {
  if (current === `-${field}`) return field;
  if (current === field) return `-${field}`;
  return startsDescending ? `-${field}` : field;
}

const stoppable: readonly RunStatus[] = ["queued", "interrupted", "starting", "running"];

/** Only to enable buttons; the API decides. */
export const canStop = (status: RunStatus) => stoppable.includes(status);
export const canDelete = (status: RunStatus) => !isActive(status);
