import { useState } from "react";
import { http, unwrap } from "@/api/client";

const pageHits = 100;

export interface LogHits {
  query: string;
  /** Byte offsets of the matching lines. */
  offsets: number[];
  /** Where the search continues; null if the whole file was searched. */
  nextFrom: number | null;
  /** Index of the current match. */
  at: number;
}

/** Moves from match to match in a log; the server searches, one page of matches at a time. */
export function useLogSearch(id: string, attempt: number | null, show: (offset: number) => void) {
  const [hits, setHits] = useState<LogHits | null>(null);
  const [error, setError] = useState<Error | null>(null);

  const search = (query: string, from: number) =>
    unwrap(
      http.GET("/api/v1/runs/{run_id}/log/search", {
        params: {
          path: { run_id: id },
          query: { q: query, from, limit: pageHits, ...(attempt ? { attempt } : {}) },
        },
      }),
    );

  const put = (next: LogHits) => {
    setHits(next);
    const offset = next.offsets[next.at];
    if (offset !== undefined) show(offset);
  };

  const find = async (query: string) => {
    setError(null);
    if (!query.trim()) {
      setHits(null);
      return;
    }
    try {
      const found = await search(query, 0);
      put({ query, offsets: found.items.map((hit) => hit.offset), nextFrom: found.next_from, at: 0 });
    } catch (cause) {
      setError(cause as Error);
    }
  };

  const step = async (by: 1 | -1) => {
    if (!hits) return;
    const at = hits.at + by;
    if (at < 0) return;
    if (at < hits.offsets.length) {
      put({ ...hits, at });
      return;
    }
    if (hits.nextFrom === null) return;
    try {
      const found = await search(hits.query, hits.nextFrom);
      const offsets = [...hits.offsets, ...found.items.map((hit) => hit.offset)];
      put({ ...hits, offsets, nextFrom: found.next_from, at: Math.min(at, offsets.length - 1) });
    } catch (cause) {
      setError(cause as Error);
    }
  };

  return { hits, error, find, step, clear: () => setHits(null) };
}

/** "3 of 12", "3 of more than 100", "not found" */
export function hitsText(hits: LogHits): string {
  if (hits.offsets.length === 0) return "not found";
  const known = hits.offsets.length;
  return `${hits.at + 1} of ${hits.nextFrom === null ? known : `more than ${known}`}`;
}
