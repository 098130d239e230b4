import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer, useState } from "react";
import { isRefusal } from "@/api/client";
import { type Connection, openEventStream } from "@/api/event-stream";
import { healthQuery, runQuery, workersQuery } from "@/api/queries";
import type { RunEvent } from "@/api/types";
import { DrawingRest } from "./drawing-rest";
import { fromHistory, reduceLive } from "./live-run";
import { loadHistory } from "./load-history";
import { MetricTail } from "./metric-tail";
import { loadTimeline, mergeTimeline } from "./timeline";

/** Charts are drawn at most this often while events arrive; after a pause, as soon as a batch is complete. */
const flushMs = 250;
/** And on a slow machine at least this often. */
const longestRestMs = 2000;
const joinMs = 10;
/** The run's row is read at most this often for changes of its numbers. */
const rowMs = 30_000;
/** After this long without events of a running run, its health is checked more often. */
const quietMs = 10_000;

const tellsOfRow: readonly RunEvent["kind"][] = ["status", "artifact", "config", "steer", "modules"];
const changesSummary = (event: RunEvent): boolean =>
  event.kind === "checkpoint" ||
  (event.kind === "prune" && event.final) ||
  (event.kind === "metrics" && Object.keys(event.values).some((name) => name.startsWith("eval_")));

/** Reads the history, then follows the stream from its end; again if a run that had ended continues. */
export function useLiveRun(id: string) {
  const client = useQueryClient();
  const [live, dispatch] = useReducer(reduceLive, null);
  const [connection, setConnection] = useState<Connection>("connecting");
  const history = useQuery({
    queryKey: ["run", id, "history"],
    queryFn: ({ signal }) => loadHistory(id, signal),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: (failures, error) => !isRefusal(error) && failures < 4,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const detail = useQuery(runQuery(id));
  const [tail] = useState(() => new MetricTail(Number.POSITIVE_INFINITY));
  const [isQuiet, setQuiet] = useState(false);

  const past = history.data;
  const { refetch } = history;
  useEffect(() => {
    if (!past) return;
    let waiting: RunEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let lastSeq = fromHistory(past).lastSeq;
    dispatch({ type: "history", history: past });
    tail.restart(lastSeq);
    const read = (queryKey: readonly unknown[], exact = true) =>
      void client.invalidateQueries({ queryKey, exact });
    let readAt = performance.now();
    let later: ReturnType<typeof setTimeout> | undefined;
    /** Reads the run's row, for fields that its events do not have: soon after a change, but not for every event. */
    const readRow = () => {
      clearTimeout(later);
      later = undefined;
      readAt = performance.now();
      read(runQuery(id).queryKey);
    };
    const keepUp = (events: readonly RunEvent[]) => {
      const kinds = new Set(events.map((event) => event.kind));
      if (kinds.has("status")) {
        read(healthQuery.queryKey);
        read(workersQuery.queryKey);
        read(["run", id, "tree"]);
      }
      if (kinds.has("warning")) read(["run", id, "health"], false);
      if (kinds.has("checkpoint") || kinds.has("artifact")) read(["run", id, "checkpoints"]);
      if (tellsOfRow.some((kind) => kinds.has(kind))) readRow();
      else if (events.some(changesSummary))
        later ??= setTimeout(readRow, Math.max(0, readAt + rowMs - performance.now()));
    };
    let quiet: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      clearTimeout(quiet);
      setQuiet(false);
      quiet = setTimeout(() => setQuiet(true), quietMs);
    };
    listen();
    let flushedAt = Number.NEGATIVE_INFINITY;
    const rest = new DrawingRest(longestRestMs);
    const flush = () => {
      timer = undefined;
      flushedAt = performance.now();
      const events = waiting;
      waiting = [];
      dispatch({ type: "events", events });
      tail.push(events);
      keepUp(events);
      listen();
      rest.measure();
    };
    const close = openEventStream(id, {
      lastSeq: () => lastSeq,
      onConnection: (next) => {
        if (next === "ended" && timer !== undefined) {
          clearTimeout(timer);
          flush();
        }
        setConnection(next);
        // Without a stream the row is polled again, since the run may be resumed.
        if (next === "ended") readRow();
      },
      onEvent: (event) => {
        if (event.seq <= lastSeq) return;
        lastSeq = event.seq;
        waiting.push(event);
        timer ??= setTimeout(flush, Math.max(joinMs, flushedAt + rest.atLeast(flushMs) - performance.now()));
      },
    });
    return () => {
      close();
      for (const waits of [timer, later, quiet]) clearTimeout(waits);
    };
  }, [past, id, client, tail]);

  // A new attempt replaced part of a long history: the server knows what is left of it.
  const isStale = live?.isHistoryStale ?? false;
  useEffect(() => {
    if (isStale) void refetch();
  }, [isStale, refetch]);

  // A run that had ended was resumed, here or elsewhere: it has events that the closed stream did not deliver.
  const goesOn = connection === "ended" && live && detail.data && detail.data.last_seq > live.lastSeq;
  useEffect(() => {
    if (!goesOn) return;
    void refetch();
    void client.invalidateQueries({ queryKey: ["run", id, "timeline"] });
  }, [goesOn, refetch, client, id]);

  // Read after the charts: warnings and status changes from before the page was opened.
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
    tail,
    /** No events for a while. */
    isQuiet,
    timeline: { events: happened, readTo: timeline.data?.isWhole === false ? timeline.data.readTo : null },
  };
}
