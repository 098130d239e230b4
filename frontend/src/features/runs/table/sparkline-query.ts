import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { Sparkline } from "@/api/types";

const everyMs = 10_000;
/** Rows that appear together share a request. */
const waitMs = 40;
/** The API's limit. */
const most = 100;

interface Waiting {
  id: string;
  resolve: (line: Sparkline | null) => void;
  reject: (error: unknown) => void;
}

let waiting: Waiting[] = [];

/** The curve of a run; one request for all runs that ask within a moment. */
function curveOf(id: string): Promise<Sparkline | null> {
  return new Promise((resolve, reject) => {
    waiting.push({ id, resolve, reject });
    if (waiting.length === 1) setTimeout(askForAll, waitMs);
  });
}

function askForAll(): void {
  const all = waiting;
  waiting = [];
  for (let start = 0; start < all.length; start += most) void ask(all.slice(start, start + most));
}

async function ask(some: readonly Waiting[]): Promise<void> {
  try {
    const query = { runs: [some.map(({ id }) => id).join(",")] };
    const { items } = await unwrap(http.GET("/api/v1/runs/sparklines", { params: { query } }));
    const found = new Map(items.map((line) => [line.id, line]));
    for (const { id, resolve } of some) resolve(found.get(id) ?? null);
  } catch (error) {
    for (const { reject } of some) reject(error);
  }
}

/** Repeated while the run is active, and once after its end. */
export const sparklineQuery = (id: string, isActive: boolean) =>
  queryOptions({
    queryKey: ["sparkline", id, isActive],
    queryFn: () => curveOf(id),
    staleTime: isActive ? everyMs : Number.POSITIVE_INFINITY,
    refetchInterval: isActive ? everyMs : (false as const),
    placeholderData: keepPreviousData,
  });
