import { useQuery } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { valueAt } from "@/api/config";
import type { ConfigDraft } from "@/api/types";

const pollMs = 700;
/** Rows per response; rows of a response that has arrived are shown without waiting. */
export const rowsAtOnce = 10;

/** What the tokens of a row depend on, as text. */
export const tokensKey = (draft: ConfigDraft): string =>
  JSON.stringify([draft.model, draft.data, draft.task, valueAt(draft, "training.max_length")]);

export const firstOf = (row: number): number => row - ((row - 1) % rowsAtOnce);

/** Tokens of ten rows, including the given one, computed by a worker. Sends nothing while `draft` is null. */
export function useTokenRows(draft: ConfigDraft | null, row: number) {
  const key = ["token-rows", draft && tokensKey(draft), firstOf(row)];
  const asked = useQuery({
    queryKey: [...key, "request"],
    queryFn: ({ signal }) =>
      unwrap(
        http.POST("/api/v1/token-rows", {
          signal,
          body: { config: draft as never, first: firstOf(row), rows: rowsAtOnce, with_lengths: true },
        }),
      ),
    enabled: draft !== null,
    staleTime: 5 * 60_000,
    gcTime: 5 * 60_000,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const id = asked.data?.id;
  const answer = useQuery({
    queryKey: [...key, id],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/token-rows/{token_rows_id}", {
          signal,
          params: { path: { token_rows_id: id ?? "" } },
        }),
      ),
    enabled: id !== undefined,
    staleTime: 5 * 60_000,
    refetchOnWindowFocus: false,
    refetchInterval: ({ state }) =>
      state.error || state.data?.status === "done" || state.data?.status === "failed" ? false : pollMs,
  });
  return {
    answer: answer.data,
    error: asked.error ?? answer.error,
    retry: () => void asked.refetch().then(() => answer.refetch()),
  };
}
