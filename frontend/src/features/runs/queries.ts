import { infiniteQueryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { RunStatus } from "@/api/types";

export interface RunFilter {
  status: RunStatus[];
  method: string[];
  tag: string[];
  search: string;
  sort: string;
}

export const runsPageSize = 100;

export const runsQuery = (filter: RunFilter) =>
  infiniteQueryOptions({
    queryKey: ["runs", filter],
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        http.GET("/api/v1/runs", {
          signal,
          params: {
            query: {
              ...(filter.status.length ? { status: filter.status } : {}),
              ...(filter.method.length ? { method: filter.method } : {}),
              ...(filter.tag.length ? { tag: filter.tag } : {}),
              ...(filter.search ? { search: filter.search } : {}),
              ...(pageParam ? { cursor: pageParam } : {}),
              sort: filter.sort,
              limit: runsPageSize,
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // All loaded pages are read again, so the interval grows with their number.
    refetchInterval: (query) => 2000 * Math.min(5, query.state.data?.pages.length ?? 1),
    placeholderData: (previous) => previous,
  });
