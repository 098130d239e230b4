/** Whether the user has typed something on this page that a reload would lose. */

let isTyped = false;

const note = (event: Event) => {
  if (event.target instanceof HTMLElement && event.isTrusted) isTyped = true;
};

export function watchTyping(): void {
  document.addEventListener("input", note, { capture: true, passive: true });
}

/** Called for a new page: what was typed on the previous one was sent or discarded. */
export function forgetTyping(): void {
  isTyped = false;
}

/** True if a reload loses nothing: nothing was typed and no dialog is open. The address keeps the view. */
export const canReload = (): boolean => !isTyped && document.querySelector('[role="dialog"]') === null;
