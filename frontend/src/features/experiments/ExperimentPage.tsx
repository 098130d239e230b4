import {
  Alert,
  Anchor,
  Badge,
  Button,
  Container,
  Group,
  Loader,
  Progress,
  Skeleton,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { IconAlertTriangle, IconFileText, IconInfoCircle, IconPencil, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useNavigate, useParams, useSearchParams } from "react-router";
import { http, unwrap } from "@/api/client";
import type { Answer, ExperimentDetail } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { ErrorState } from "@/components/feedback/states";
import { notify, notifyError } from "@/components/feedback/toast";
import { useTitle } from "@/components/navigation/use-title";
import { count, dateTime } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { answerQuery, experimentQuery } from "@/features/experiments/view/queries";
import { paramsOf, type Selection, selectionOf } from "@/features/experiments/view/selection";
import { unitOf } from "@/features/experiments/view/units";
import { ChainsPanel } from "./answer/ChainsPanel";
import { ChartPanel } from "./answer/ChartPanel";
import { ProtocolPanel } from "./answer/ProtocolPanel";
import { RanksPanel } from "./answer/RanksPanel";
import { SentencesPanel } from "./answer/SentencesPanel";
import { TablePanel } from "./answer/TablePanel";
import { ExperimentActions } from "./ExperimentActions";
import { ExperimentStatusBadge } from "./ExperimentStatusBadge";
import { SelectionBar } from "./SelectionBar";
import "./experiments.css";

/** One experiment: what it says first, then why, then the numbers. */
export function ExperimentPage() {
  const { id = "" } = useParams();
  const [params, setParams] = useSearchParams();
  const selection = useMemo(() => selectionOf(params), [params]);
  const experiment = useQuery(experimentQuery(id));
  const answer = useQuery(answerQuery(id, experiment.data?.revision, selection));
  useTitle(experiment.data?.name ?? "Experiment");
  const select = (next: Selection) => setParams(paramsOf(next), { replace: true });
  return (
    <Container size="xl" px={{ base: "sm", sm: "lg" }} py="md">
      {experiment.data ? (
        <Stack gap="md">
          <Header experiment={experiment.data} selection={selection} />
          <State experiment={experiment.data} />
          <SelectionBar experiment={experiment.data} selection={selection} onChange={select} />
          {answer.error ? (
            <ErrorState
              error={answer.error}
              title="The answer could not be computed"
              onRetry={() => void answer.refetch()}
            />
          ) : answer.data ? (
            <AnswerPanels
              answer={answer.data}
              experiment={experiment.data}
              selection={selection}
              isOld={answer.isPlaceholderData}
            />
          ) : (
            <Computing />
          )}
        </Stack>
      ) : experiment.error ? (
        <Stack gap="md" align="flex-start">
          <ErrorState
            error={experiment.error}
            title="This experiment can't be shown"
            onRetry={() => void experiment.refetch()}
          />
          <Button component={Link} to="/experiments" variant="default">
            All experiments
          </Button>
        </Stack>
      ) : (
        <Stack gap="md" aria-label="Loading" aria-busy>
          <Skeleton height={60} />
          <Skeleton height={260} />
        </Stack>
      )}
    </Container>
  );
}

interface AnswerPanelsProps {
  answer: Answer;
  experiment: ExperimentDetail;
  selection: Selection;
  /** Whether a newer one is being computed. */
  isOld: boolean;
}

function AnswerPanels({ answer, experiment, selection, isOld }: AnswerPanelsProps) {
  const unit = unitOf(experiment.design.metric);
  return (
    <Stack gap="md" className={isOld ? "is-old" : undefined} aria-busy={isOld}>
      {isOld ? (
        <Group gap="xs" role="status">
          <Loader size={14} />
          <Text size="sm" c="dimmed">
            Computing the answer for these comparisons…
          </Text>
        </Group>
      ) : null}
      <SentencesPanel answer={answer} unit={unit} />
      {answer.notes.length ? (
        <Stack gap={6}>
          {answer.notes.map((note) => (
            <Alert
              key={note.text}
              color={note.severity === "warning" ? "yellow" : "gray"}
              variant="light"
              py={8}
              icon={
                note.severity === "warning" ? <IconAlertTriangle size={16} /> : <IconInfoCircle size={16} />
              }
            >
              <Text size="sm">{note.text}</Text>
            </Alert>
          ))}
        </Stack>
      ) : null}
      <ChainsPanel answer={answer} experiment={experiment} />
      <ChartPanel answer={answer} experiment={experiment} />
      <RanksPanel answer={answer} experiment={experiment} />
      <TablePanel answer={answer} experiment={experiment} selection={selection} />
      <ProtocolPanel answer={answer} experiment={experiment} />
    </Stack>
  );
}

const Computing = () => (
  <Stack gap="md" role="status" aria-busy>
    <Group gap="xs">
      <Loader size={16} />
      <Text size="sm" c="dimmed">
        Computing the answer. This takes some seconds, once.
      </Text>
    </Group>
    <Skeleton height={260} />
    <Skeleton height={320} />
  </Stack>
);

function State({ experiment }: { experiment: ExperimentDetail }) {
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
          <Anchor component={Link} to={`/?tag=experiment+${experiment.id}`} size="sm">
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

/** The report has the comparisons that the page shows. */
function reportAddress(id: string, { task, budget, variants = [] }: Selection): string {
  const query = new URLSearchParams({
    ...(task ? { task } : {}),
    ...(budget === undefined ? {} : { budget: String(budget) }),
  });
  for (const variant of variants) query.append("variants", variant);
  return `/api/v1/experiments/${id}/report.html?${query}`;
}

function Header({ experiment, selection }: { experiment: ExperimentDetail; selection: Selection }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isRenaming, setRenaming] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const [name, setName] = useState(experiment.name);
  const path = { params: { path: { experiment_id: experiment.id } } };
  const rename = useMutation({
    mutationFn: () =>
      unwrap(http.PATCH("/api/v1/experiments/{experiment_id}", { ...path, body: { name: name.trim() } })),
    onSuccess: () => {
      setRenaming(false);
      void client.invalidateQueries({ queryKey: ["experiments"] });
    },
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
    `${count(trials.done)} trials`,
    plural(experiment.variants, "variant"),
    `mean rank ${experiment.budgets.join(", ")}`,
    plural(experiment.seeds, "seed"),
    experiment.tasks.join(", "),
    dateTime(experiment.created_at),
  ];
  return (
    <div>
      <Group justify="space-between" align="center" gap="xs">
        {isRenaming ? (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (name.trim()) rename.mutate();
            }}
          >
            <Group gap="xs">
              <TextInput
                aria-label="Name of the experiment"
                value={name}
                maxLength={200}
                onChange={(event) => setName(event.currentTarget.value)}
                data-autofocus
              />
              <Button type="submit" size="xs" loading={rename.isPending} disabled={!name.trim()}>
                Save
              </Button>
              <Button size="xs" variant="default" onClick={() => setRenaming(false)}>
                Cancel
              </Button>
            </Group>
          </form>
        ) : (
          <Group gap="xs">
            <Title order={1} size="h3" style={{ overflowWrap: "anywhere" }}>
              {experiment.name}
            </Title>
            <ExperimentStatusBadge status={experiment.status} />
            {experiment.source === "imported" ? (
              <Badge variant="outline" color="gray" radius="sm" tt="none">
                Imported
              </Badge>
            ) : null}
          </Group>
        )}
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
            leftSection={<IconPencil size={14} />}
            onClick={() => {
              setName(experiment.name);
              setRenaming(true);
            }}
          >
            Rename
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
