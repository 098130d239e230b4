import { useQueries } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { Prediction, RunDetail, RunResults } from "@/api/types";

type Row = RunResults["items"][number];
type Guess = Prediction["items"][number]["base"];

/** Most inputs that a request may have. */
const rowsARequest = 8;
const pollMs = 700;

/** A truncated text is not the row's text, so its prediction can't be requested. */
export const isTruncated = (row: Row): boolean =>
  Object.values(row.inputs).some((text) => text.endsWith("…"));

/** The base model's predictions for evaluation rows, by row; a worker computes them when `isOn`. */
export function useBaseGuesses(run: RunDetail, rows: readonly Row[], isOn: boolean) {
  const asked = isOn ? rows.filter((row) => !isTruncated(row)) : [];
  const parts: Row[][] = [];
  for (let at = 0; at < asked.length; at += rowsARequest) parts.push(asked.slice(at, at + rowsARequest));
  return useQueries({
    queries: parts.map((part) => ({
      queryKey: ["run", run.id, "base", run.attempt, part.map((row) => row.row)],
      queryFn: ({ signal }: { signal: AbortSignal }) => guessesFor(run.id, part, signal),
      staleTime: Number.POSITIVE_INFINITY,
      retry: false,
    })),
    combine: (results) => ({
      guesses: new Map(results.flatMap((one) => one.data ?? [])),
      error: results.find((one) => one.error)?.error ?? null,
      isBusy: results.some((one) => one.isFetching),
      askAgain: () => {
        for (const one of results) if (one.error) void one.refetch();
      },
    }),
  });
}

async function guessesFor(runId: string, rows: Row[], signal: AbortSignal): Promise<[number, Guess][]> {
  const path = { run_id: runId };
  const inputs = rows.map((row) => row.inputs);
  const { id } = await unwrap(
    http.POST("/api/v1/runs/{run_id}/predictions", { signal, params: { path }, body: { inputs } }),
  );
  for (;;) {
    const answer = await unwrap(
      http.GET("/api/v1/runs/{run_id}/predictions/{prediction_id}", {
        signal,
        params: { path: { ...path, prediction_id: id } },
      }),
    );
    if (answer.status === "failed")
      throw new Error([answer.message, answer.next_step].filter(Boolean).join(" "));
    if (answer.status === "done")
      return rows.flatMap((row, index): [number, Guess][] => {
        const item = answer.items[index];
        return item ? [[row.row, item.base]] : [];
      });
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** A prediction in one line, in the form of the results. */
export function inShort(guess: Guess): string {
  switch (guess.kind) {
    case "class":
      return guess.label;
    case "labels":
      return guess.labels.join(", ");
    case "number":
      return String(guess.value);
    case "tags":
      return guess.tags.join(" ");
    case "span":
      return guess.answer;
    case "text":
      return guess.text;
  }
}
