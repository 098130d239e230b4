/** Runs that were recorded by a server test (tests/page_recordings.py), for the page's tests. */
import type { RunEvent, Series } from "@/api/types";
import type { History } from "./live-run";

interface Recording {
  events: RunEvent[];
  /** What changed from one history to the next. */
  histories: unknown[];
}

export interface RecordedLife {
  name: string;
  events: RunEvent[];
  /** The server's history by number of events; a few numbers have none. */
  histories: Map<number, History>;
}

const files = import.meta.glob<Recording>("./recorded/*.json", { eager: true, import: "default" });

export const recordedLives: RecordedLife[] = Object.entries(files).map(([path, { events, histories }]) => {
  let state: unknown;
  const found = new Map<number, History>();
  for (const change of histories) {
    state = changed(state, change);
    const history = historyOf(state as NamedHistory);
    found.set(history.run.last_seq, history);
  }
  return { name: path.replace(/^.*\/|\.json$/g, ""), events, histories: found };
});

type Named = { items: Record<string, Series>; last_seq: number };
type NamedHistory = Omit<History, "series" | "smoothed"> & { series: Named; smoothed: Named };

function historyOf({ series, smoothed, ...rest }: NamedHistory): History {
  const listed = ({ items, last_seq }: Named) => ({ items: Object.values(items), last_seq });
  return { ...rest, series: listed(series), smoothed: listed(smoothed) };
}

/** The counterpart of `_change` in tests/page_recordings.py. */
function changed(before: unknown, change: unknown): unknown {
  const fields = change as Record<string, unknown>;
  if ("$set" in fields) return fields["$set"];
  if ("$add" in fields) {
    return typeof before === "string"
      ? before + (fields["$add"] as string)
      : [...(before as unknown[]), ...(fields["$add"] as unknown[])];
  }
  const next = { ...(before as Record<string, unknown>) };
  for (const [name, part] of Object.entries(fields)) next[name] = changed(next[name], part);
  return next;
}
