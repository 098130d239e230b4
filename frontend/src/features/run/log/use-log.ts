import { useCallback, useEffect, useRef, useState } from "react";
import { http, unwrap } from "@/api/client";
import { followLog } from "@/api/log-stream";
import type { LogPart } from "@/api/types";
import { endOf, joinAfter, joinBefore, type LogWindow, startOf, windowOf } from "./log-window";

const partBytes = 64 * 1024;

interface LogOptions {
  /** null: the newest attempt that has a log. */
  attempt: number | null;
  /** Whether the file may still grow. */
  isGrowing: boolean;
  /** Whether to follow the end of the file. */
  isFollowing: boolean;
}

/** A window on a run's log, by byte offset: a log of 100 MB costs no more than the visible lines. */
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

  /** One request at a time while scrolling; an error is shown, and the next scroll tries again. */
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

  /** Moves the window to the line that starts at `offset`, with some text before it. */
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
    // A window that does not reach the end jumps there; otherwise it is continued.
    let state = newest.current && endOf(newest.current) >= newest.current.size ? newest.current : null;
    const take = (part: LogPart) => {
      state = joinAfter(state, part);
      put(state);
    };
    const catchUp = async () => {
      try {
        let part: LogPart;
        do {
          part = await read(state ? endOf(state) : -1, controller.signal);
          // Another attempt has another file, where this offset is meaningless.
          if (state !== null && state.attempt !== part.attempt) state = null;
          else take(part);
        } while (state === null || (part.next_offset < part.size && part.text !== ""));
      } catch (cause) {
        if (!controller.signal.aborted) setError(cause as Error);
      }
    };
    const onPart = (part: LogPart): boolean => {
      const isFromMiddle = state !== null && state.attempt !== part.attempt && part.offset > 0;
      if (isFromMiddle) state = null;
      else take(part);
      return !isFromMiddle;
    };
    if (!isGrowing) void catchUp();
    const stop = isGrowing
      ? followLog(id, { attempt, offset: () => (state ? endOf(state) : -1), onPart })
      : undefined;
    return () => {
      controller.abort();
      stop?.();
    };
  }, [id, attempt, read, put, isGrowing, isFollowing]);

  return { log, error, readEarlier, readLater, show };
}
