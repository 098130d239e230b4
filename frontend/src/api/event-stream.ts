import { link } from "./server-link";
import type { Pulse, RunEvent } from "./types";

export type Connection = "connecting" | "live" | "reconnecting" | "ended";

export interface StreamHandlers {
  /** Sequence number of the last event that the page has; read at every (re)connect. */
  lastSeq: () => number;
  onEvent: (event: RunEvent) => void;
  onConnection: (connection: Connection) => void;
}

const firstDelay = 500;
const longestDelay = 10_000;
/** The server sends a pulse every second. A stream that is silent for this long while the server answers is broken. */
const silentMs = 6000;

/** Delay before attempt n (0, 1, 2, ...): doubles up to ten seconds, with jitter so that viewers do not reconnect all at once. */
export const backoff = (failures: number, chance = Math.random()): number =>
  Math.min(longestDelay, firstDelay * 2 ** failures) * (0.75 + chance / 2);

/** What to do with an event: an overlapping stream repeats some; a stream with a gap can't be trusted. */
export const arrivalOf = (seq: number, lastSeq: number): "known" | "next" | "gap" =>
  seq <= lastSeq ? "known" : seq === lastSeq + 1 ? "next" : "gap";

/**
 * Follows a run's events until it has ended; returns a function that stops.
 *
 * EventSource gives up after an HTTP error, and its own reconnect uses the first URL. So every break opens a new
 * EventSource that starts after the last event received. While the server is unreachable there is none.
 */
export function openEventStream(runId: string, handlers: StreamHandlers): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closeOfLink: (() => void) | undefined;
  let failures = 0;
  let heardAt = 0;
  let isClosed = false;

  const drop = () => {
    clearTimeout(timer);
    timer = undefined;
    source?.close();
    source = null;
    closeOfLink?.();
    closeOfLink = undefined;
  };
  const breakOff = () => {
    drop();
    handlers.onConnection("reconnecting");
    timer = setTimeout(connect, backoff(failures++));
    void link.check();
  };
  const connect = () => {
    drop();
    const address = `/api/v1/runs/${encodeURIComponent(runId)}/events/stream`;
    const current = new EventSource(`${address}?after=${handlers.lastSeq()}&pulse=true`);
    source = current;
    heardAt = Date.now();
    const hear = (pulse?: Pulse) => {
      heardAt = Date.now();
      link.heard(pulse);
    };
    current.onopen = () => {
      failures = 0;
      hear();
      closeOfLink ??= link.openStream();
      handlers.onConnection("live");
    };
    current.addEventListener("pulse", (message: MessageEvent<string>) =>
      hear(JSON.parse(message.data) as Pulse),
    );
    current.onmessage = (message: MessageEvent<string>) => {
      hear();
      const event = JSON.parse(message.data) as RunEvent;
      const arrival = arrivalOf(event.seq, handlers.lastSeq());
      if (arrival === "next") handlers.onEvent(event);
      else if (arrival === "gap") breakOff();
    };
    current.addEventListener("end", () => {
      close();
      handlers.onConnection("ended");
    });
    current.onerror = () => {
      if (!isClosed && source === current) breakOff();
    };
  };
  const watch = setInterval(() => {
    const isSilent = source !== null && Date.now() - heardAt > silentMs;
    if (isSilent && document.visibilityState === "visible") breakOff();
  }, 1000);
  const followLink = link.subscribe(() => {
    if (!link.get().isReachable) {
      drop();
      handlers.onConnection("reconnecting");
    } else if (source === null) {
      failures = 0;
      connect();
    }
  });
  const hurry = () => {
    if (timer !== undefined && document.visibilityState === "visible") connect();
  };
  const close = () => {
    isClosed = true;
    drop();
    clearInterval(watch);
    followLink();
    document.removeEventListener("visibilitychange", hurry);
    window.removeEventListener("online", hurry);
  };

  document.addEventListener("visibilitychange", hurry);
  window.addEventListener("online", hurry);
  handlers.onConnection("connecting");
  connect();
  return close;
}
