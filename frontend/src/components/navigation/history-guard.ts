/**
 * Intercepts Back and Forward before the router, for a page that has to ask first.
 *
 * Window listeners run in the order in which they were added, so this one is added when the module is loaded:
 * `app/main.tsx` imports it before it mounts the router.
 */
let guard: ((event: PopStateEvent) => void) | null = null;

window.addEventListener("popstate", (event) => guard?.(event));

export function setHistoryGuard(next: ((event: PopStateEvent) => void) | null): void {
  guard = next;
}
