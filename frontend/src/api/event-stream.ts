import type { RunEvent } from "./types";

export type Connection = "connecting" | "live" | "reconnecting" | "ended";

export interface StreamHandlers {
  /** Number of the last event that the page has; asked at every (re)connect. */
  lastSeq: () => number;
  onEvent: (event: RunEvent) => void;
  onConnection: (connection: Connection) => void;
}

const firstDelay = 500;
const longestDelay = 10_000;

/** Wait before attempt n (0, 1, 2, ...): doubles up to ten seconds, with some chance, so that viewers do not all come at once. */
export const backoff = (failures: number, chance = Math.random()): number =>
  Math.min(longestDelay, firstDelay * 2 ** failures) * (0.75 + chance / 2);

/**
 * Follows a run's events until it has ended; returns a function that stops.
 *
 * EventSource gives up for ever after an HTTP error, and its own reconnect asks with the first URL: every break is
 * therefore answered by a new EventSource, from the last event that arrived.
 */
export function openEventStream(runId: string, handlers: StreamHandlers): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let isClosed = false;

  const connect = () => {
    clearTimeout(timer);
    timer = undefined;
    source?.close();
    const current = new EventSource(
      `/api/v1/runs/${encodeURIComponent(runId)}/events/stream?after=${handlers.lastSeq()}`,
    );
    source = current;
    current.onopen = () => {
      failures = 0;
      handlers.onConnection("live");
    };
    current.onmessage = (message: MessageEvent<string>) =>
      handlers.onEvent(JSON.parse(message.data) as RunEvent);
    current.addEventListener("end", () => {
      close();
      handlers.onConnection("ended");
    });
    current.onerror = () => {
      current.close();
      if (isClosed) return;
      handlers.onConnection("reconnecting");
      timer = setTimeout(connect, backoff(failures++));
    };
  };
  const hurry = () => {
    if (timer !== undefined && document.visibilityState === "visible") connect();
  };
  const close = () => {
    isClosed = true;
    clearTimeout(timer);
    timer = undefined;
    source?.close();
    document.removeEventListener("visibilitychange", hurry);
    window.removeEventListener("online", hurry);
  };

  document.addEventListener("visibilitychange", hurry);
  window.addEventListener("online", hurry);
  handlers.onConnection("connecting");
  connect();
  return close;
}
