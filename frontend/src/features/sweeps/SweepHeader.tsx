import { Button, Group, Space, Text } from "@mantine/core";
import { IconNotes } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { http, unwrap } from "@/api/client";
import type { SweepDetail } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import { lazyPart } from "@/components/server/load-part";
import { EditableName } from "@/components/text/EditableName";
import { dateTime, duration } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { TrialsStatus } from "@/components/trials/TrialsStatus";
import { sweepQuery } from "./queries";
import { SweepActions } from "./SweepActions";
import { searchTitles } from "./sweep-text";

const NotesEditor = lazyPart(
  () => import("@/components/notes/NotesEditor"),
  (module) => module.NotesEditor,
);

/** Name, state, notes, and everything that can be done with a sweep. */
export function SweepHeader({ sweep }: { sweep: SweepDetail }) {
  const client = useQueryClient();
  const [isNoting, setNoting] = useState(false);
  const change = async (body: { name: string } | { notes: string }) => {
    const path = { params: { path: { sweep_id: sweep.id } } };
    const changed = await unwrap(http.PATCH("/api/v1/sweeps/{sweep_id}", { ...path, body }));
    client.setQueryData(sweepQuery(sweep.id).queryKey, changed);
    void client.invalidateQueries({ queryKey: ["sweeps"], exact: true });
  };
  const rename = useMutation({
    mutationFn: (name: string) => change({ name }),
    onError: (error) => notifyError("Could not rename the sweep", error),
  });
  const facts = [
    searchTitles[sweep.kind],
    plural(sweep.parameters.length, "parameter"),
    plural(sweep.seeds, "seed"),
    `by ${sweep.metric.title}`,
    dateTime(sweep.created_at),
    sweep.active_s >= 1 ? `ran ${duration(sweep.active_s)}` : null,
  ];
  return (
    <div>
      <Group justify="space-between" align="center" gap="xs">
        <Group gap="xs" miw={0}>
          <EditableName name={sweep.name} label="Name of the sweep" onRename={rename.mutate} />
          <TrialsStatus status={sweep.status} />
        </Group>
        <Group gap="xs">
          <SweepActions sweep={sweep} />
        </Group>
      </Group>
      <Group gap="xs" mt={2} justify="space-between">
        <Text size="sm" c="dimmed" className="numbers">
          {facts.filter((fact) => fact !== null).join(" · ")}
        </Text>
        {isNoting ? null : (
          <Button
            size="compact-xs"
            variant="subtle"
            color="gray"
            leftSection={<IconNotes size={14} />}
            onClick={() => setNoting(true)}
          >
            {sweep.notes ? "Edit notes" : "Add notes"}
          </Button>
        )}
      </Group>
      {isNoting ? (
        <Suspense>
          <Space h="xs" />
          <NotesEditor
            id={sweep.id}
            notes={sweep.notes}
            save={(notes) => change({ notes })}
            placeholder="What this sweep is for, what you saw, what comes next"
            minRows={3}
            onDone={() => setNoting(false)}
          />
        </Suspense>
      ) : sweep.notes ? (
        <Text size="sm" mt={4} style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
          {sweep.notes}
        </Text>
      ) : null}
    </div>
  );
}
