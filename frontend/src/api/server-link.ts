/**
 * Whether the server answers, and which build of the page it serves. One for the whole page.
 *
 * Every answer and every pulse of a stream is a sign of life. Without one for two seconds the page asks; without an answer
 * for two more the server is unreachable. A reader hears of it within five seconds, whatever is frozen, killed or cut off.
 */
import type { Pulse } from "./types";

export interface LinkState {
  isReachable: boolean;
  /** When the server was last heard, in milliseconds since 1970. */
  heardAt: number;
  /** The server serves another build of the page than this one. */
  isUpdated: boolean;
}

export interface LinkOptions {
  /** Asks the server for its pulse; null: it answered without one. Rejects when it does not answer. */
  ask: (signal: AbortSignal) => Promise<Pulse | null>;
  /** Entry script of this page; null when it is not known, as in development. */
  ownBuild: string | null;
  isVisible: () => boolean;
}

const tickMs = 200;
const quietMs = 2000;
const patienceMs = 2000;
const retryMs = 1000;

export class ServerLink {
  private state: LinkState = { isReachable: true, heardAt: Date.now(), isUpdated: false };
  private readonly listeners = new Set<() => void>();
  private readonly watchers = new Set<object>();
  private readonly streams = new Set<object>();
  private question: Promise<boolean> | null = null;
  private askedAt = 0;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly options: LinkOptions) {}

  readonly get = (): LinkState => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Asks by itself when nothing is heard, until the returned function is called. */
  readonly watch = (): (() => void) => {
    const watcher = {};
    this.watchers.add(watcher);
    this.state = { ...this.state, heardAt: Date.now() };
    this.run();
    return () => this.watchers.delete(watcher);
  };

  /** A stream brings what happens: whoever polls can do so rarely. */
  readonly openStream = (): (() => void) => {
    const stream = {};
    this.streams.add(stream);
    return () => this.streams.delete(stream);
  };

  readonly isStreaming = (): boolean => this.streams.size > 0;

  readonly heard = (pulse?: Pulse | null): void => {
    const { ownBuild } = this.options;
    const isUpdated = pulse?.page && ownBuild !== null ? pulse.page !== ownBuild : this.state.isUpdated;
    const before = this.state;
    this.state = { isReachable: true, heardAt: Date.now(), isUpdated };
    if (!before.isReachable || before.isUpdated !== isUpdated) this.tell();
  };

  /** A request had no answer: asks at once, because only this request may have failed. True: the server is there. */
  readonly check = (): Promise<boolean> => {
    this.run();
    this.question ??= this.askNow().finally(() => {
      this.question = null;
    });
    return this.question;
  };

  /** Resolves as soon as the server has answered. */
  readonly whenReachable = async (): Promise<void> => {
    if (await this.check()) return;
    await new Promise<void>((resolve) => {
      const stop = this.subscribe(() => {
        if (!this.state.isReachable) return;
        stop();
        resolve();
      });
    });
  };

  private run(): void {
    this.timer ??= setInterval(() => this.tick(), tickMs);
  }

  private tick(): void {
    const now = Date.now();
    if (!this.state.isReachable) {
      if (now - this.askedAt >= retryMs) void this.check();
      return;
    }
    if (this.watchers.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
      return;
    }
    // Browsers slow the timers of hidden pages down: nothing is known there, and nobody looks.
    if (this.options.isVisible() && now - this.state.heardAt >= quietMs) void this.check();
  }

  private async askNow(): Promise<boolean> {
    this.askedAt = Date.now();
    try {
      this.heard(await this.options.ask(AbortSignal.timeout(patienceMs)));
      return true;
    } catch {
      // Something else may have been heard meanwhile.
      if (this.state.heardAt > this.askedAt) return true;
      if (this.state.isReachable) {
        this.state = { ...this.state, isReachable: false };
        this.tell();
      }
      return false;
    }
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** A proxy before a server that is gone answers in its place. */
export const isFromProxy = (status: number): boolean => status === 502 || status === 503 || status === 504;

async function askPulse(signal: AbortSignal): Promise<Pulse | null> {
  const answer = await fetch("/api/v1/system/pulse", { signal, cache: "no-store" });
  if (isFromProxy(answer.status)) throw new Error(`HTTP ${answer.status}`);
  return answer.ok ? ((await answer.json()) as Pulse) : null;
}

const entryScript = (): string | null =>
  import.meta.env.PROD
    ? (document.querySelector('script[type="module"][src]')?.getAttribute("src") ?? null)
    : null;

export const link = new ServerLink({
  ask: askPulse,
  ownBuild: entryScript(),
  isVisible: () => document.visibilityState === "visible",
});
