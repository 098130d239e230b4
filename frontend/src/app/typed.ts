/** Whether a person has typed into this page and may lose it by a reload. */

let isTyped = false;

const note = (event: Event) => {
  if (event.target instanceof HTMLElement && event.isTrusted) isTyped = true;
};

export function watchTyping(): void {
  document.addEventListener("input", note, { capture: true, passive: true });
}

/** Another page: what was typed on the one before was sent or given up. */
export function forgetTyping(): void {
  isTyped = false;
}

/** A reload loses nothing: nothing was typed, and no dialog is open. The address keeps what is looked at. */
export const canReload = (): boolean => !isTyped && document.querySelector('[role="dialog"]') === null;
