import { Alert, Anchor, Group, Progress, Text } from "@mantine/core";
import { Link } from "react-router";
import type { ExperimentDetail } from "@/api/types";
import { count } from "@/components/text/format";

/** Progress of an experiment, and why it is waiting or has ended. */
export function ExperimentState({ experiment }: { experiment: ExperimentDetail }) {
  const { trials, message, next_step, status, expected_trials: all } = experiment;
  if (status === "done" && !message) return null;
  const ended = trials.done + trials.failed;
  return (
    <Alert color={status === "failed" ? "red" : "blue"} variant="light" py={8}>
      <Group justify="space-between" gap="xs">
        <Text size="sm">
          {message ? `${message} ` : ""}
          {next_step ? `${next_step} ` : ""}
          {status === "failed"
            ? ""
            : `${count(ended)} of ${count(all)} trials have ended${trials.failed ? `, ${count(trials.failed)} failed` : ""}.`}
        </Text>
        {experiment.source === "launched" ? (
          <Anchor
            component={Link}
            to={`/?${new URLSearchParams({ filter: `tag = "experiment ${experiment.id}"` })}`}
            size="sm"
          >
            Show its runs
          </Anchor>
        ) : null}
      </Group>
      {status === "failed" || all === 0 ? null : (
        <Progress value={(100 * ended) / all} size="sm" mt={6} aria-label="Trials that have ended" />
      )}
    </Alert>
  );
}
