/** At least three quarters of the time are left for the user's input. */
const share = 4;

/** The time between two drawings while events arrive: longer where drawing is slow. */
export class DrawingRest {
  private wantedMs = 0;

  constructor(private readonly longestMs: number) {}

  /** Call it when a drawing starts: measures until the page is idle. Safari can't measure it, so the time never grows there. */
  measure(): void {
    const began = performance.now();
    window.requestIdleCallback?.(
      () => {
        this.wantedMs = Math.min(this.longestMs, share * (performance.now() - began));
      },
      { timeout: this.longestMs },
    );
  }

  atLeast(shortestMs: number): number {
    return Math.max(shortestMs, this.wantedMs);
  }
}
