/** The newest numbers of a run's stream, for curves that were read from the server at one moment and go on from there. */
import type { EventOf, RunEvent } from "@/api/types";

export type TailEvent = EventOf<"metrics"> | EventOf<"status">;

const mostEvents = 5000;

export class MetricTail {
  private events: TailEvent[] = [];
  private readonly listeners = new Set<() => void>();

  /** Every event with a number above `from` is here, as far as they have come. */
  constructor(private from: number) {}

  /** Begins again: the stream goes on after `from`. */
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

  /** What came after event `seq`; null when some of it is no longer here. */
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
