import { Button, Group, Text, Textarea } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useBeforeUnload } from "react-router";
import { Panel } from "@/components/layout/Panel";
import { useLeaveGuard } from "@/components/navigation/use-leave-guard";

const waitMs = 800;
const mostCharacters = 15_000;

interface NotesEditorProps {
  /** Id of what the notes are about: saves of one id are serial. */
  id: string;
  notes: string;
  save: (notes: string) => Promise<unknown>;
  placeholder: string;
  minRows: number;
  /** A button that closes the editor. */
  onDone?: () => void;
}

/** Notes, saved while you type. */
export function NotesEditor({ id, notes, save, placeholder, minRows, onDone }: NotesEditorProps) {
  /** null: nothing was typed yet, so the server's text is shown. */
  const [draft, setDraft] = useState<string | null>(null);
  const saving = useMutation({
    // Serial: an older text must not overwrite a newer one.
    scope: { id: `notes-${id}` },
    mutationFn: save,
  });
  const later = useDebouncedCallback((next: string) => saving.mutate(next), {
    delay: waitMs,
    flushOnUnmount: true,
  });
  const isDirty = draft !== null && (draft !== notes || saving.isPending);
  // Leaving the page saves what is pending.
  const guard = useLeaveGuard(isDirty && saving.isError, () => {});
  useBeforeUnload((event) => {
    if (isDirty) event.preventDefault();
  });
  return (
    <Panel
      title="Notes"
      actions={
        <Group gap="xs">
          <Text size="xs" c={saving.isError ? "red" : "dimmed"} role="status" data-testid="notes-state">
            {saving.isError
              ? `Not saved: ${saving.error.message} Your next change retries it.`
              : isDirty
                ? "Saving"
                : draft === null
                  ? ""
                  : "Saved"}
          </Text>
          {onDone ? (
            <Button size="compact-sm" variant="default" onClick={onDone}>
              Done
            </Button>
          ) : null}
        </Group>
      }
    >
      <Textarea
        aria-label="Notes"
        placeholder={placeholder}
        autosize
        minRows={minRows}
        maxRows={36}
        maxLength={mostCharacters}
        value={draft ?? notes}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          later(event.currentTarget.value);
        }}
        autoFocus={onDone !== undefined}
      />
      {guard.dialog}
    </Panel>
  );
}
