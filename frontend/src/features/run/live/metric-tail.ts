/** The newest metrics of a run's stream, to continue curves that were read from the server. */
import type { EventOf, RunEvent } from "@/api/types";

export type TailEvent = EventOf<"metrics"> | EventOf<"status">;

const mostEvents = 5000;

export class MetricTail {
  private events: TailEvent[] = [];
  private readonly listeners = new Set<() => void>();

  /** Has every received event with a sequence number above `from`. */
  constructor(private from: number) {}

  /** Starts over: the stream continues after `from`. */
  restart(from: number): void {
    this.events = [];
    this.from = from;
  }

  push(events: readonly RunEvent[]): void {
    const kept = events.filter((event) => event.kind === "metrics" || event.kind === "status");
    if (kept.length === 0) return;
    this.events.push(...kept);
    if (this.events.length > mostEvents) {
      const dropped = this.events.splice(0, this.events.length - mostEvents / 2);
      this.from = dropped.at(-1)?.seq ?? this.from;
    }
    for (const listener of this.listeners) listener();
  }

  /** The events after `seq`; null if some of them have been dropped. */
  since(seq: number): TailEvent[] | null {
    if (seq < this.from) return null;
    const first = this.events.findIndex((event) => event.seq > seq);
    return first === -1 ? [] : this.events.slice(first);
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
