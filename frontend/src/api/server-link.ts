/**
 * Whether the server answers, and which build of the page it serves. One for the whole page.
 *
 * Every response and every pulse of a stream shows that the server is alive. After two seconds without one, the page asks;
 * after two more without a response, the server is unreachable. So a viewer knows within five seconds, whatever has failed.
 */
import type { Pulse } from "./types";

export interface LinkState {
  isReachable: boolean;
  /** Time of the last response or pulse, in milliseconds since 1970. */
  heardAt: number;
  /** The server serves another build of the page than this one. */
  isUpdated: boolean;
}

export interface LinkOptions {
  /** Requests the server's pulse; null if it answers without one. Rejects if it does not answer. */
  ask: (signal: AbortSignal) => Promise<Pulse | null>;
  /** Entry script of this page; null if unknown, as in development. */
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

  /** Checks the server when nothing is received, until the returned function is called. */
  readonly watch = (): (() => void) => {
    const watcher = {};
    this.watchers.add(watcher);
    this.state = { ...this.state, heardAt: Date.now() };
    this.run();
    return () => this.watchers.delete(watcher);
  };

  /** Registers an open stream: while there is one, polling can be rare. */
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

  /** Checks immediately after a failed request, which need not be an outage. True: the server answers. */
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
    // Browsers throttle the timers of hidden pages, so nothing can be concluded there, and nobody is looking.
    if (this.options.isVisible() && now - this.state.heardAt >= quietMs) void this.check();
  }

  private async askNow(): Promise<boolean> {
    this.askedAt = Date.now();
    try {
      this.heard(await this.options.ask(AbortSignal.timeout(patienceMs)));
      return true;
    } catch {
      // Another response may have arrived in the meantime.
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

/** A proxy answers for a server that is down. */
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
