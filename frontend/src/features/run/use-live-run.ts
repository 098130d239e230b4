import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer, useState } from "react";
import { ApiError } from "@/api/client";
import { type Connection, openEventStream } from "@/api/event-stream";
import { runQuery } from "@/api/queries";
import type { RunEvent } from "@/api/types";
import { fromHistory, reduceLive } from "./live-run";
import { loadHistory } from "./load-history";
import { loadTimeline, mergeTimeline } from "./timeline";

/** Charts are drawn at most this often while events come; after a quiet moment, as soon as its events are together. */
const flushMs = 250;
const joinMs = 10;

/** History, then the stream from where the history ends; again when a run that had ended goes on. */
export function useLiveRun(id: string) {
  const client = useQueryClient();
  const [live, dispatch] = useReducer(reduceLive, null);
  const [connection, setConnection] = useState<Connection>("connecting");
  const history = useQuery({
    queryKey: ["run", id, "history"],
    queryFn: ({ signal }) => loadHistory(id, signal),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: 4,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const detail = useQuery({
    ...runQuery(id),
    refetchInterval: ({ state }) =>
      state.error instanceof ApiError && state.error.status === 404
        ? false
        : state.data?.ended_at
          ? 5000
          : 2000,
  });

  const past = history.data;
  useEffect(() => {
    if (!past) return;
    let waiting: RunEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let lastSeq = fromHistory(past).lastSeq;
    dispatch({ type: "history", history: past });
    let flushedAt = Number.NEGATIVE_INFINITY;
    const flush = () => {
      timer = undefined;
      flushedAt = performance.now();
      const events = waiting;
      waiting = [];
      dispatch({ type: "events", events });
      if (events.some((event) => event.kind === "status" || event.kind === "artifact")) {
        void client.invalidateQueries({ queryKey: runQuery(id).queryKey, exact: true });
      }
    };
    const close = openEventStream(id, {
      lastSeq: () => lastSeq,
      onConnection: (next) => {
        if (next === "ended" && timer !== undefined) {
          clearTimeout(timer);
          flush();
        }
        setConnection(next);
      },
      onEvent: (event) => {
        if (event.seq <= lastSeq) return;
        lastSeq = event.seq;
        waiting.push(event);
        timer ??= setTimeout(flush, Math.max(joinMs, flushedAt + flushMs - performance.now()));
      },
    });
    return () => {
      close();
      clearTimeout(timer);
    };
  }, [past, id, client]);

  // A run that has ended was resumed, here or elsewhere: it has events that the closed stream did not bring.
  const { refetch } = history;
  const goesOn = connection === "ended" && live && detail.data && detail.data.last_seq > live.lastSeq;
  useEffect(() => {
    if (!goesOn) return;
    void refetch();
    void client.invalidateQueries({ queryKey: ["run", id, "timeline"] });
  }, [goesOn, refetch, client, id]);

  // Read after the charts: warnings and changes of status from before the page was opened.
  const timeline = useQuery({
    queryKey: ["run", id, "timeline"],
    queryFn: ({ signal }) => loadTimeline(id, signal),
    enabled: past !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const happened = useMemo(
    () => mergeTimeline(timeline.data?.events ?? [], live?.timeline ?? []),
    [timeline.data, live?.timeline],
  );

  return {
    live,
    detail,
    history,
    connection,
    timeline: { events: happened, readTo: timeline.data?.isWhole === false ? timeline.data.readTo : null },
  };
}
