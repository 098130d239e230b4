import { link } from "./server-link";
import type { LogPart } from "./types";

const pauseMs = 1000;

interface LogFollower {
  /** null: the newest attempt that has a log. */
  attempt: number | null;
  /** Byte offset to continue from; read at every (re)connect. -1: the end. */
  offset: () => number;
  /** Returns false if the part belongs to another attempt than those before: the stream is then reopened. */
  onPart: (part: LogPart) => boolean;
}

/** Follows a run's log until it has ended; returns a function that stops. */
export function followLog(id: string, { attempt, offset, onPart }: LogFollower): () => void {
  let source: EventSource | null = null;
  let isClosed = false;
  const connect = () => {
    if (isClosed) return;
    const query = `offset=${offset()}${attempt ? `&attempt=${attempt}` : ""}`;
    const current = new EventSource(`/api/v1/runs/${encodeURIComponent(id)}/log/stream?${query}`);
    source = current;
    current.onmessage = (message: MessageEvent<string>) => {
      if (onPart(JSON.parse(message.data) as LogPart)) return;
      current.close();
      connect();
    };
    current.addEventListener("end", () => current.close());
    current.onerror = () => {
      current.close();
      setTimeout(() => void link.whenReachable().then(connect), pauseMs);
    };
  };
  connect();
  return () => {
    isClosed = true;
    source?.close();
  };
}
