import { isActive } from "./active-runs";
import { link } from "./server-link";
import type { RunStatus } from "./types";

/** While a stream is open it says when something changes: what it cannot say is read once a minute. */
export const rarelyMs = 60_000;
export const unlessStreaming = (everyMs: number) => (): number => (link.isStreaming() ? rarelyMs : everyMs);

interface Moving {
  /** What of the key must be the same for the answer before to stand in until the new one is there. */
  key: readonly string[];
  /** What of the key may differ. */
  also?: readonly unknown[];
  status: RunStatus;
  /** Left out: only when the status changes. */
  everyMs?: number;
}

/** What is asked again while a run moves, and when its status changes: its last numbers come at its end. */
export const whileActive = ({ key, also = [], status, everyMs }: Moving) => ({
  queryKey: [...key, ...also, status],
  placeholderData: <T>(before: T | undefined, query: { queryKey: readonly unknown[] } | undefined) =>
    key.every((part, place) => query?.queryKey[place] === part) ? before : undefined,
  refetchInterval: isActive(status) && everyMs ? everyMs : (false as const),
});
