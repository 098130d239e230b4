import { useQueryClient } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import { runQuery } from "@/api/queries";
import type { RunDetail } from "@/api/types";
import { NotesEditor } from "@/components/notes/NotesEditor";

/** Notes about the run. */
export default function NotesTab({ run }: { run: RunDetail }) {
  const client = useQueryClient();
  return (
    <NotesEditor
      id={run.id}
      notes={run.notes}
      save={async (notes) => {
        await unwrap(
          http.PATCH("/api/v1/runs/{run_id}", { params: { path: { run_id: run.id } }, body: { notes } }),
        );
        await client.invalidateQueries({ queryKey: runQuery(run.id).queryKey, exact: true });
      }}
      placeholder="What you tried, what you saw, what comes next"
      minRows={10}
    />
  );
}
