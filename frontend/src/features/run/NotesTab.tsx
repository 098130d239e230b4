import { Text, Textarea } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useBeforeUnload } from "react-router";
import { http, unwrap } from "@/api/client";
import { runQuery } from "@/api/queries";
import type { RunDetail } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { useLeaveGuard } from "@/components/navigation/use-leave-guard";

const waitMs = 800;
const mostCharacters = 15_000;

/** Notes about the run, saved while you type. */
export default function NotesTab({ run }: { run: RunDetail }) {
  const client = useQueryClient();
  /** null: nothing was typed yet, so the server's text is shown. */
  const [draft, setDraft] = useState<string | null>(null);
  const save = useMutation({
    // Serial: an older text must not overwrite a newer one.
    scope: { id: `notes-${run.id}` },
    mutationFn: (notes: string) =>
      unwrap(http.PATCH("/api/v1/runs/{run_id}", { params: { path: { run_id: run.id } }, body: { notes } })),
    onSuccess: () => client.invalidateQueries({ queryKey: runQuery(run.id).queryKey, exact: true }),
  });
  const later = useDebouncedCallback((notes: string) => save.mutate(notes), {
    delay: waitMs,
    flushOnUnmount: true,
  });
  const isDirty = draft !== null && (draft !== run.notes || save.isPending);
  // Leaving the page saves what is pending.
  const guard = useLeaveGuard(isDirty && save.isError, () => {});
  useBeforeUnload((event) => {
    if (isDirty) event.preventDefault();
  });
  return (
    <Panel
      title="Notes"
      actions={
        <Text size="xs" c={save.isError ? "red" : "dimmed"} role="status" data-testid="notes-state">
          {save.isError
            ? `Not saved: ${save.error.message} It is retried with your next change.`
            : isDirty
              ? "Saving"
              : draft === null
                ? ""
                : "Saved"}
        </Text>
      }
    >
      <Textarea
        aria-label="Notes"
        placeholder="What you tried, what you saw, what comes next"
        autosize
        minRows={10}
        maxRows={36}
        maxLength={mostCharacters}
        value={draft ?? run.notes}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          later(event.currentTarget.value);
        }}
      />
      {guard.dialog}
    </Panel>
  );
}
