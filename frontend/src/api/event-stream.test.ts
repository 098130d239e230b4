import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backoff, type Connection, openEventStream } from "./event-stream";

class FakeSource {
  static opened: FakeSource[] = [];
  onopen?: () => void;
  onmessage?: (message: { data: string }) => void;
  onerror?: () => void;
  isClosed = false;
  private ends: (() => void)[] = [];
  constructor(readonly url: string) {
    FakeSource.opened.push(this);
  }
  addEventListener(_: string, listener: () => void) {
    this.ends.push(listener);
  }
  close() {
    this.isClosed = true;
  }
  send(seq: number) {
    this.onmessage?.({ data: JSON.stringify({ seq }) });
  }
  end() {
    for (const listener of this.ends) listener();
  }
}

const newest = () => FakeSource.opened.at(-1) as FakeSource;

describe("openEventStream", () => {
  let seq = 0;
  let states: Connection[] = [];
  let close: () => void;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("EventSource", FakeSource);
    FakeSource.opened = [];
    seq = 7;
    states = [];
    close = openEventStream("r1", {
      lastSeq: () => seq,
      onEvent: (event) => {
        seq = event.seq;
      },
      onConnection: (state) => states.push(state),
    });
  });
  afterEach(() => {
    close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test("starts after the last event of the history", () => {
    expect(newest().url).toBe("/api/v1/runs/r1/events/stream?after=7");
  });

  test("after a break it opens a new stream from the last event that came", () => {
    newest().onopen?.();
    newest().send(8);
    newest().onerror?.();
    expect(FakeSource.opened[0]?.isClosed).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(FakeSource.opened).toHaveLength(2);
    expect(newest().url).toContain("after=8");
    newest().onopen?.();
    expect(states).toEqual(["connecting", "live", "reconnecting", "live"]);
  });

  test("waits longer after each failure and starts over once it was open", () => {
    newest().onerror?.();
    vi.advanceTimersByTime(700);
    newest().onerror?.();
    vi.advanceTimersByTime(700);
    expect(FakeSource.opened).toHaveLength(2);
    vi.advanceTimersByTime(700);
    expect(FakeSource.opened).toHaveLength(3);
    expect(backoff(0, 0.5)).toBe(500);
    expect(backoff(3, 0.5)).toBe(4000);
    expect(backoff(30, 1)).toBeLessThanOrEqual(12_500);
  });

  test("the end closes it for good", () => {
    newest().onopen?.();
    newest().end();
    newest().onerror?.();
    vi.advanceTimersByTime(60_000);
    expect(FakeSource.opened).toHaveLength(1);
    expect(states.at(-1)).toBe("ended");
  });

  test("nothing is opened after it was closed", () => {
    newest().onerror?.();
    close();
    vi.advanceTimersByTime(60_000);
    expect(FakeSource.opened).toHaveLength(1);
  });
});
