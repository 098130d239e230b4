import { type InfiniteData, infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { RunStatus, RunTable, TableChanges } from "@/api/types";
import { merged } from "./merge-changes";

export interface TableView {
  status: RunStatus[];
  method: string[];
  tag: string[];
  search: string;
  /** A condition in the filter language. */
  filter: string;
  sort: string;
  /** Fields shown next to the columns that every table has. */
  columns: string[];
  /** Fields whose values the runs of a group share; empty: a row per run. */
  group: string[];
  /** The run that others are compared with. */
  baseline: string;
}

export const runsPageSize = 100;

/** Which runs, as parameters of the API. */
export const selection = (view: TableView) => ({
  ...(view.status.length ? { status: view.status } : {}),
  ...(view.method.length ? { method: view.method } : {}),
  ...(view.tag.length ? { tag: view.tag } : {}),
  ...(view.search ? { search: view.search } : {}),
  ...(view.filter ? { filter: view.filter } : {}),
});

const query = (view: TableView) => ({
  ...selection(view),
  ...(view.columns.length ? { columns: view.columns } : {}),
  sort: view.sort,
});

/** Read once; `changesQuery` keeps it current. */
export const tableQuery = (view: TableView) =>
  infiniteQueryOptions({
    queryKey: ["runs", "table", view],
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        http.GET("/api/v1/runs/table", {
          signal,
          params: {
            query: {
              ...query(view),
              ...(pageParam ? { cursor: pageParam } : {}),
              ...(view.baseline ? { baseline: view.baseline } : {}),
              limit: runsPageSize,
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: RunTable) => page.next_cursor ?? undefined,
    placeholderData: (previous: InfiniteData<RunTable, string> | undefined) => previous,
  });

/** Polls for changes every 2 s and merges them into the table. */
export const changesQuery = (view: TableView, isReady: boolean) =>
  queryOptions({
    queryKey: ["run-changes", view],
    enabled: isReady,
    refetchInterval: 2000,
    gcTime: 0,
    queryFn: async ({ client, signal }): Promise<TableChanges | null> => {
      const { queryKey } = tableQuery(view);
      const before = client.getQueryData(queryKey);
      const since = before?.pages[0]?.changes;
      // A read in progress returns the state at its start.
      if (!since || client.isFetching({ queryKey, exact: true }) > 0) return null;
      const changes = await unwrap(
        http.GET("/api/v1/runs/changes", { signal, params: { query: { ...query(view), since } } }),
      );
      if (client.isFetching({ queryKey, exact: true }) > 0) return null;
      if (changes.reset) await client.invalidateQueries({ queryKey, exact: true });
      else
        client.setQueryData(queryKey, (now) =>
          now === before && now ? merged(now, changes, view.sort) : now,
        );
      return changes;
    },
  });

export const fieldsQuery = queryOptions({
  queryKey: ["run-fields"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/runs/fields", { signal })),
  staleTime: 60_000,
});

export const viewsQuery = queryOptions({
  queryKey: ["saved-views"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/views", { signal }))).items,
  staleTime: 30_000,
});

export const filterCheckQuery = (text: string, at: number) =>
  queryOptions({
    queryKey: ["filter-check", text, at],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/filter", { signal, params: { query: { text, at } } })),
    staleTime: 10_000,
  });
