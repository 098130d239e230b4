import { useLayoutEffect } from "react";

/**
 * Returns the focus to what had it before a dialog opened, once the dialog closes. Mantine's dialogs do so only if they are mounted
 * before they open, and dialogs here are loaded when they are first needed.
 */
export function useFocusReturn(isOpen = true): void {
  useLayoutEffect(() => {
    if (!isOpen) return;
    const opener = openerOf(document.activeElement);
    return () => {
      // After the removal of the dialog, which takes the focus with it.
      window.setTimeout(() => {
        if (opener?.isConnected) opener.focus({ preventScroll: true });
      });
    };
  }, [isOpen]);
}

/** An item of a menu is gone when the dialog closes; the menu's button is not. */
function openerOf(focused: Element | null): HTMLElement | null {
  const button = focused?.closest("[role=menu]")?.getAttribute("aria-labelledby");
  const opener = button ? document.getElementById(button) : focused;
  return opener instanceof HTMLElement && opener !== document.body ? opener : null;
}
