import { Badge, Button, Group, Text } from "@mantine/core";
import { IconFileText } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { ExperimentDetail } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import { EditableName } from "@/components/text/EditableName";
import { count, dateTime } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { DeleteTrials } from "@/components/trials/DeleteTrials";
import { TrialsStatus } from "@/components/trials/TrialsStatus";
import type { Selection } from "@/features/experiments/view/selection";
import { ExperimentActions } from "./ExperimentActions";

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
  const path = { params: { path: { experiment_id: experiment.id } } };
  const rename = useMutation({
    mutationFn: (name: string) =>
      unwrap(http.PATCH("/api/v1/experiments/{experiment_id}", { ...path, body: { name } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["experiments"] }),
    onError: (error) => notifyError("Could not rename the experiment", error),
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
          <TrialsStatus status={experiment.status} />
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
          <DeleteTrials
            noun="experiment"
            id={experiment.id}
            name={experiment.name}
            remove={() => unwrap(http.DELETE("/api/v1/experiments/{experiment_id}", path))}
          >
            {plural(trials.done, "result")} and the answer are deleted. This can't be undone. Its queued runs
            are deleted, running ones are stopped, and finished ones are kept.
          </DeleteTrials>
        </Group>
      </Group>
      <Text size="sm" c="dimmed" className="numbers" mt={4}>
        {facts.join(" · ")}
      </Text>
    </div>
  );
}
