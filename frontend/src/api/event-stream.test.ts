// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backoff, type Connection, openEventStream } from "./event-stream";
import { link } from "./server-link";

type Listener = (message: { data: string }) => void;

/** The browser's EventSource, driven by the test. */
class FakeSource {
  static opened: FakeSource[] = [];
  onopen?: () => void;
  onmessage?: Listener;
  onerror?: () => void;
  isClosed = false;
  private readonly listeners: Record<string, Listener> = {};
  constructor(readonly url: string) {
    FakeSource.opened.push(this);
  }
  addEventListener(name: string, listener: Listener) {
    this.listeners[name] = listener;
  }
  close() {
    this.isClosed = true;
  }
  send(seq: number) {
    this.onmessage?.({ data: JSON.stringify({ seq }) });
  }
  emit(name: string, data: object) {
    this.listeners[name]?.({ data: JSON.stringify(data) });
  }
}

const newest = () => FakeSource.opened.at(-1) as FakeSource;

describe("openEventStream", () => {
  let seq = 0;
  let states: Connection[] = [];
  let close: () => void;
  let isUp = true;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("EventSource", FakeSource);
    isUp = true;
    vi.stubGlobal("fetch", async () => {
      if (!isUp) throw new TypeError("Failed to fetch");
      return new Response(JSON.stringify({ time: 1, page: null }));
    });
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
  afterEach(async () => {
    close();
    isUp = true;
    await link.check();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test("starts after the last event of the history, and asks for pulses", () => {
    expect(newest().url).toBe("/api/v1/runs/r1/events/stream?after=7&pulse=true");
  });

  test("after a break it opens a new stream that starts after the last event received", async () => {
    newest().onopen?.();
    newest().send(8);
    newest().onerror?.();
    expect(FakeSource.opened[0]?.isClosed).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSource.opened).toHaveLength(2);
    expect(newest().url).toContain("after=8");
    newest().onopen?.();
    expect(states).toEqual(["connecting", "live", "reconnecting", "live"]);
  });

  test("a repeated event changes nothing; a missing one opens a new stream", async () => {
    newest().onopen?.();
    newest().send(7);
    newest().send(8);
    newest().send(10);
    expect(seq).toBe(8);
    await vi.advanceTimersByTimeAsync(1000);
    expect(newest().url).toContain("after=8");
  });

  test("waits longer after each failure and starts over once it has opened", async () => {
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(700);
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(700);
    expect(FakeSource.opened).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(700);
    expect(FakeSource.opened).toHaveLength(3);
    expect(backoff(0, 0.5)).toBe(500);
    expect(backoff(3, 0.5)).toBe(4000);
    expect(backoff(30, 1)).toBeLessThanOrEqual(12_500);
  });

  test("a stream that is silent while the server answers is reopened; one with pulses is not", async () => {
    newest().onopen?.();
    for (let second = 0; second < 20; second++) {
      newest().emit("pulse", { time: second, page: null });
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(FakeSource.opened).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(8000);
    expect(FakeSource.opened).toHaveLength(2);
  });

  test("while the server is unreachable no stream is opened; once it answers one is, at once", async () => {
    newest().onopen?.();
    isUp = false;
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSource.opened).toHaveLength(1);
    expect(states.at(-1)).toBe("reconnecting");
    isUp = true;
    await link.check(); // it does so by itself every second: see server-link.test.ts
    expect(FakeSource.opened).toHaveLength(2);
  });

  test("the end event closes it for good", async () => {
    newest().onopen?.();
    newest().emit("end", { status: "done", last_seq: 7 });
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSource.opened).toHaveLength(1);
    expect(states.at(-1)).toBe("ended");
  });

  test("nothing is opened after it has been closed", async () => {
    newest().onerror?.();
    close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSource.opened).toHaveLength(1);
  });
});
