import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { type ReactNode, useContext, useEffect, useRef, useState } from "react";
import { UNSAFE_NavigationContext } from "react-router";
import { setHistoryGuard } from "./history-guard";

export interface LeaveGuard {
  /** Runs the action without asking, for example after everything has been saved. */
  pass: (leave: () => void) => void;
  dialog: ReactNode;
}

/**
 * Asks before a link, the Back button or the browser leaves a page with unsaved edits.
 *
 * The router's own blocker needs the data router, which is five times as large, so this wraps the history of the plain
 * router. The address has already changed when the browser reports Back or Forward, so the change is undone first and
 * repeated if the user leaves.
 */
export function useLeaveGuard(isDirty: boolean, onDiscard: () => void): LeaveGuard {
  const { navigator } = useContext(UNSAFE_NavigationContext);
  const [leave, setLeave] = useState<(() => void) | null>(null);
  const isPassing = useRef(false);
  const pass = (action: () => void) => {
    isPassing.current = true;
    action();
  };

  useEffect(() => {
    if (!isDirty) return;
    isPassing.current = false;
    const { push, replace } = navigator;
    const place = historyIndex();
    let isUndoing = false;
    const guarded =
      (go: typeof push): typeof push =>
      (...target) => {
        if (isPassing.current) go(...target);
        else setLeave(() => () => go(...target));
      };
    navigator.push = guarded(push.bind(navigator));
    navigator.replace = guarded(replace.bind(navigator));
    const onPop = (event: PopStateEvent) => {
      if (isPassing.current) return;
      event.stopImmediatePropagation();
      if (isUndoing) {
        isUndoing = false;
        return;
      }
      const delta = historyIndex() - place || -1;
      isUndoing = true;
      window.history.go(-delta);
      setLeave(() => () => window.history.go(delta));
    };
    const onUnload = (event: BeforeUnloadEvent) => {
      if (!isPassing.current) event.preventDefault();
    };
    setHistoryGuard(onPop);
    window.addEventListener("beforeunload", onUnload);
    return () => {
      navigator.push = push;
      navigator.replace = replace;
      setHistoryGuard(null);
      window.removeEventListener("beforeunload", onUnload);
    };
  }, [isDirty, navigator]);

  const dialog = (
    <Modal opened={leave !== null} onClose={() => setLeave(null)} title="Leave without saving?" centered>
      <Stack gap="md">
        <Text size="sm">Your changes on this page are not saved. If you leave, they are lost.</Text>
        <Group justify="flex-end" gap="xs">
          <Button
            variant="default"
            onClick={() => {
              onDiscard();
              if (leave) pass(leave);
              setLeave(null);
            }}
            color="red"
          >
            Discard changes
          </Button>
          <Button onClick={() => setLeave(null)} data-autofocus>
            Keep editing
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
  return { pass, dialog };
}

/** The router stores an index in the state of each history entry. */
function historyIndex(): number {
  const state: unknown = window.history.state;
  return typeof state === "object" && state !== null && "idx" in state ? Number(state.idx) : 0;
}
