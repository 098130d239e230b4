import { Badge, Button, Group, Text } from "@mantine/core";
import { IconFileText, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { http, unwrap } from "@/api/client";
import type { ExperimentDetail } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { notify, notifyError } from "@/components/feedback/toast";
import { EditableName } from "@/components/text/EditableName";
import { count, dateTime } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import type { Selection } from "@/features/experiments/view/selection";
import { ExperimentActions } from "./ExperimentActions";
import { ExperimentStatusBadge } from "./ExperimentStatusBadge";

/** The report has the comparisons that the page shows. */
function reportAddress(id: string, { task, budget, variants = [] }: Selection): string {
  const query = new URLSearchParams({
    ...(task ? { task } : {}),
    ...(budget === undefined ? {} : { budget: String(budget) }),
  });
  for (const variant of variants) query.append("variants", variant);
  return `/api/v1/experiments/${id}/report.html?${query}`;
}

/** Name, state, and everything that can be done with an experiment. */
export function ExperimentHeader({
  experiment,
  selection,
}: {
  experiment: ExperimentDetail;
  selection: Selection;
}) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isDeleting, setDeleting] = useState(false);
  const path = { params: { path: { experiment_id: experiment.id } } };
  const rename = useMutation({
    mutationFn: (name: string) =>
      unwrap(http.PATCH("/api/v1/experiments/{experiment_id}", { ...path, body: { name } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["experiments"] }),
    onError: (error) => notifyError("Could not rename the experiment", error),
  });
  const remove = useMutation({
    mutationFn: () => unwrap(http.DELETE("/api/v1/experiments/{experiment_id}", path)),
    onSuccess: async () => {
      await navigate("/experiments");
      client.removeQueries({ queryKey: ["experiments", experiment.id] });
      void client.invalidateQueries({ queryKey: ["experiments"] });
      notify(`Deleted ${experiment.name}.`);
    },
    onError: (error) => notifyError("Could not delete the experiment", error),
  });
  const { trials } = experiment;
  const facts = [
    trials.done < experiment.expected_trials
      ? `${count(trials.done)} of ${count(experiment.expected_trials)} trials`
      : `${count(trials.done)} trials`,
    plural(experiment.variants, "variant"),
    `mean rank ${experiment.budgets.join(", ")}`,
    plural(experiment.seeds, "seed"),
    experiment.tasks.join(", "),
    dateTime(experiment.created_at),
  ];
  return (
    <div>
      <Group justify="space-between" align="center" gap="xs">
        <Group gap="xs" flex="0 1 auto" miw={0}>
          <EditableName name={experiment.name} label="Name of the experiment" onRename={rename.mutate} />
          <ExperimentStatusBadge status={experiment.status} />
          {experiment.source === "imported" ? (
            <Badge variant="outline" color="gray" radius="sm" tt="none">
              Imported
            </Badge>
          ) : null}
        </Group>
        <Group gap="xs">
          <ExperimentActions experiment={experiment} />
          <Button
            component="a"
            href={reportAddress(experiment.id, selection)}
            target="_blank"
            size="xs"
            variant="default"
            leftSection={<IconFileText size={14} />}
          >
            Report
          </Button>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconTrash size={14} />}
            onClick={() => setDeleting(true)}
          >
            Delete
          </Button>
        </Group>
      </Group>
      <Text size="sm" c="dimmed" className="numbers" mt={4}>
        {facts.join(" · ")}
      </Text>
      <Confirm
        opened={isDeleting}
        title={`Delete ${experiment.name}?`}
        action="Delete experiment"
        isBusy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onClose={() => setDeleting(false)}
      >
        {plural(trials.done, "result")} and the answer are deleted. This can't be undone. Its queued runs are
        deleted, running ones are stopped, and finished ones are kept.
      </Confirm>
    </div>
  );
}
