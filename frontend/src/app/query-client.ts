import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "@/api/client";
import { sessionQuery } from "@/api/queries";

/** Retries what a restart of the server breaks, never what it refused; a 401 anywhere leads to the sign-in page. */
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
        retry: (failures, error) =>
          !(error instanceof ApiError && error.status >= 400 && error.status < 500) && failures < 2,
        staleTime: 1000,
        networkMode: "always",
      },
      mutations: { networkMode: "always" },
    },
  });
  return client;
}
