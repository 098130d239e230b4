import { isActive } from "./active-runs";
import { link } from "./server-link";
import type { RunStatus } from "./types";

/** An open stream reports changes, so everything else is polled only once a minute. */
export const rarelyMs = 60_000;
export const unlessStreaming = (everyMs: number) => (): number => (link.isStreaming() ? rarelyMs : everyMs);

interface Moving {
  /** The part of the key that must be equal for the previous data to be shown until the new data arrives. */
  key: readonly string[];
  /** The part of the key that may differ. */
  also?: readonly unknown[];
  status: RunStatus;
  /** Omitted: read again only when the status changes. */
  everyMs?: number;
}

/** Options of a query that is repeated while a run is active, and read once more when its status changes. */
export const whileActive = ({ key, also = [], status, everyMs }: Moving) => ({
  queryKey: [...key, ...also, status],
  placeholderData: <T>(before: T | undefined, query: { queryKey: readonly unknown[] } | undefined) =>
    key.every((part, place) => query?.queryKey[place] === part) ? before : undefined,
  refetchInterval: isActive(status) && everyMs ? everyMs : (false as const),
});
