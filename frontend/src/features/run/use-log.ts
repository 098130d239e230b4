import { useCallback, useEffect, useRef, useState } from "react";
import { http, unwrap } from "@/api/client";
import type { LogPart } from "@/api/types";
import { endOf, joinAfter, joinBefore, type LogWindow, startOf, windowOf } from "./log-window";

const pollMs = 1500;
const partBytes = 64 * 1024;

interface LogOptions {
  /** null: the newest attempt that has a log. */
  attempt: number | null;
  /** The file may still grow. */
  isGrowing: boolean;
  /** Reads on to the end and keeps it in the window. */
  isFollowing: boolean;
}

/** A window on a run's log, by byte offset: 100 MB cost no more than the lines that are seen. */
export function useLog(id: string, { attempt, isGrowing, isFollowing }: LogOptions) {
  const [log, setLog] = useState<LogWindow | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const newest = useRef<LogWindow | null>(null);
  const isBusy = useRef(false);

  const put = useCallback((next: LogWindow) => {
    newest.current = next;
    setLog(next);
    setError(null);
  }, []);

  const read = useCallback(
    (offset: number, signal?: AbortSignal): Promise<LogPart> =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/log", {
          ...(signal ? { signal } : {}),
          params: { path: { run_id: id }, query: { offset, ...(attempt ? { attempt } : {}) } },
        }),
      ),
    [id, attempt],
  );

  /** One request at a time from scrolling; a failure is shown and the next scroll tries again. */
  const once = useCallback(async (work: () => Promise<void>) => {
    if (isBusy.current) return;
    isBusy.current = true;
    try {
      await work();
    } catch (cause) {
      setError(cause as Error);
    } finally {
      isBusy.current = false;
    }
  }, []);

  const readEarlier = useCallback(
    () =>
      once(async () => {
        const now = newest.current;
        if (!now || startOf(now) === 0) return;
        const part = await read(Math.max(0, startOf(now) - partBytes));
        if (newest.current === now) put(joinBefore(now, part));
      }),
    [once, put, read],
  );

  const readLater = useCallback(
    () =>
      once(async () => {
        const now = newest.current;
        if (!now || endOf(now) >= now.size) return;
        const part = await read(endOf(now));
        if (newest.current === now) put(joinAfter(now, part));
      }),
    [once, put, read],
  );

  /** Puts the window at the line that begins at `offset`, with what stands before it. */
  const show = useCallback(
    (offset: number) =>
      once(async () => {
        const here = windowOf(await read(offset));
        put(offset === 0 ? here : joinBefore(here, await read(Math.max(0, offset - partBytes))));
      }),
    [once, put, read],
  );

  useEffect(() => {
    if (!isFollowing) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // A window that does not reach the end jumps there; one that does is continued.
    let state = newest.current && endOf(newest.current) >= newest.current.size ? newest.current : null;
    const poll = async () => {
      let hasMore = false;
      try {
        const part = await read(state ? endOf(state) : -1, controller.signal);
        const isOther = state !== null && state.attempt !== part.attempt;
        // Another attempt has another file: this one's offset says nothing there.
        if (isOther) state = null;
        else {
          state = joinAfter(state, part);
          put(state);
        }
        hasMore = isOther || (part.next_offset < part.size && part.text !== "");
      } catch (cause) {
        if (controller.signal.aborted) return;
        setError(cause as Error);
      }
      if (hasMore) void poll();
      else if (isGrowing) timer = setTimeout(poll, pollMs);
    };
    void poll();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [read, put, isGrowing, isFollowing]);

  return { log, error, readEarlier, readLater, show };
}
