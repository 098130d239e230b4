import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { selection, type TableView } from "@/features/runs/query/queries";

/** A query of all runs of a view takes longer than one of a page. */
const everyMs = 10_000;
const mostMembers = 100;

/** `of`: fields with numbers, of which the groups have mean and spread; the first one gives the order. */
export const groupsQuery = (view: TableView, of: string[], isFalling: boolean) =>
  queryOptions({
    queryKey: ["runs", "groups", selection(view), view.group, of, isFalling],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/groups", {
          signal,
          params: { query: { ...selection(view), by: view.group, of, reverse: isFalling } },
        }),
      ),
    placeholderData: keepPreviousData,
  });

/** Asks whether any run of the view has changed since the groups were read; if so, they are read again. */
export const groupChangesQuery = (view: TableView, since: string | undefined) =>
  queryOptions({
    queryKey: ["run-changes", "groups", selection(view), since],
    enabled: since !== undefined,
    refetchInterval: everyMs,
    gcTime: 0,
    queryFn: async ({ client, signal }): Promise<null> => {
      const query = { ...selection(view), since: since ?? "" };
      const { rows, gone, reset } = await unwrap(
        http.GET("/api/v1/runs/changes", { signal, params: { query } }),
      );
      if (rows.length + gone.length > 0 || reset)
        void client.invalidateQueries({ queryKey: ["runs", "groups"] });
      return null;
    },
  });

/** The first runs of a group, the best first, with their seeds and these columns. */
export const membersQuery = (view: TableView, filter: string, columns: string[], sort: string) =>
  queryOptions({
    queryKey: ["runs", "groups", "members", selection(view), filter, columns, sort],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/table", {
          signal,
          params: { query: { ...selection(view), filter, columns, sort, limit: mostMembers } },
        }),
      ),
  });
