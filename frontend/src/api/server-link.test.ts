import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ServerLink } from "./server-link";
import type { Pulse } from "./types";

/** A server that answers, is down, or is frozen: then a request waits until it times out. */
let server: "up" | "gone" | "frozen" = "up";
let isVisible = true;
let asked = 0;
let served: string | null = "/assets/index-one.js";
let link: ServerLink;

const ask = (signal: AbortSignal): Promise<Pulse> => {
  asked += 1;
  if (server === "up") return Promise.resolve({ time: 1, page: served });
  if (server === "gone") return Promise.reject(new TypeError("Failed to fetch"));
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
};

beforeEach(() => {
  vi.useFakeTimers();
  // The fake timers do not include that of AbortSignal.timeout.
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("time-out")), ms);
    return controller.signal;
  });
  [server, isVisible, asked, served] = ["up", true, 0, "/assets/index-one.js"];
  link = new ServerLink({ ask, ownBuild: "/assets/index-one.js", isVisible: () => isVisible });
});
afterEach(() => vi.useRealTimers());

test("a server that freezes is unreachable within five seconds, and back within two", async () => {
  link.watch();
  for (let second = 0; second < 10; second++) {
    link.heard({ time: second, page: null });
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(asked).toBe(0);
  server = "frozen";
  await vi.advanceTimersByTimeAsync(4400);
  expect(link.get().isReachable).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  server = "up";
  await vi.advanceTimersByTimeAsync(3500);
  expect(link.get().isReachable).toBe(true);
});

test("a request that fails makes it check at once, and the result of the check counts", async () => {
  expect(await link.check()).toBe(true);
  server = "gone";
  expect(await link.check()).toBe(false);
  expect(link.get().isReachable).toBe(false);
  let isBack = false;
  void link.whenReachable().then(() => {
    isBack = true;
  });
  await vi.advanceTimersByTimeAsync(5000);
  expect(isBack).toBe(false);
  server = "up";
  await vi.advanceTimersByTimeAsync(1500);
  expect(isBack).toBe(true);
});

test("nothing is checked in a hidden tab, nor once nobody watches", async () => {
  const stop = link.watch();
  isVisible = false;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(0);
  isVisible = true;
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(0);
});

test("another build of the page is an update; no build is not", () => {
  link.heard({ time: 1, page: null });
  expect(link.get().isUpdated).toBe(false);
  link.heard({ time: 1, page: "/assets/index-two.js" });
  expect(link.get().isUpdated).toBe(true);
  link.heard();
  expect(link.get().isUpdated).toBe(true);
});
