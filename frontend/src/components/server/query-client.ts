import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, isRefusal } from "@/api/client";
import { sessionQuery } from "@/api/queries";
import { link } from "@/api/server-link";

/**
 * Retries requests that failed because the server restarted, but not those that it rejected. Any 401 leads to
 * the sign-in page. When an unreachable server answers again, everything that may be stale is read again.
 */
export function createQueryClient(): QueryClient {
  const onError = (error: Error) => {
    if (error instanceof ApiError && error.status === 401) {
      client.setQueryData(sessionQuery.queryKey, { signed_in: false });
    }
  };
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        retry: (failures, error) => link.get().isReachable && !isRefusal(error) && failures < 2,
        staleTime: 1000,
        networkMode: "always",
      },
      mutations: { networkMode: "always" },
    },
  });
  let wasReachable = true;
  link.subscribe(() => {
    const { isReachable } = link.get();
    if (isReachable && !wasReachable) {
      void client.refetchQueries({
        type: "active",
        predicate: (query) => query.state.error !== null || query.isStale(),
      });
    }
    wasReachable = isReachable;
  });
  return client;
}
