import { Alert, Button, Group, Progress, SimpleGrid, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { http, unwrap } from "@/api/client";
import type { Prediction, RunDetail } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { ApiText } from "@/components/text/ApiText";

const mostCharacters = 5000;
const pollMs = 700;

/** Predictions of the base model and the fine-tuned model for texts that you enter. */
export default function TryTab({ run }: { run: RunDetail }) {
  const [text, setText] = useState("");
  const ask = useMutation({
    mutationFn: (texts: string[]) =>
      unwrap(
        http.POST("/api/v1/runs/{run_id}/predictions", {
          params: { path: { run_id: run.id } },
          body: { texts },
        }),
      ),
  });
  const id = ask.data?.id;
  const answer = useQuery({
    queryKey: ["run", run.id, "prediction", id],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/predictions/{prediction_id}", {
          signal,
          params: { path: { run_id: run.id, prediction_id: id ?? "" } },
        }),
      ),
    enabled: id !== undefined,
    refetchInterval: ({ state }) =>
      state.error || state.data?.status === "done" || state.data?.status === "failed" ? false : pollMs,
  });
  if (!run.artifact) {
    return (
      <EmptyState title="Nothing to try yet">
        You can try the fine-tuned model when training has ended.
      </EmptyState>
    );
  }
  const isBusy =
    ask.isPending || (id !== undefined && (answer.data?.status ?? "waiting") in { waiting: 1, running: 1 });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate(
      text
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    );
  };
  return (
    <Stack gap="md">
      <Panel title="Try it" note="One text per line, up to eight. A worker loads the model for each request.">
        <form onSubmit={onSubmit}>
          <Textarea
            aria-label="Text"
            placeholder="A text like those in the data set"
            autosize
            minRows={3}
            maxRows={10}
            maxLength={mostCharacters}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            data-testid="try-text"
          />
          <Group mt="xs" gap="md">
            <Button type="submit" disabled={!text.trim()} loading={isBusy} data-testid="try-run">
              Compare both models
            </Button>
            <Text size="xs" c="dimmed" role="status">
              {isBusy ? (answer.data?.message ?? "Waiting for a worker") : ""}
            </Text>
          </Group>
        </form>
      </Panel>
      {ask.error ? <ErrorState title="Could not send the texts" error={ask.error} /> : null}
      {answer.error ? <ErrorState title="Could not get the predictions" error={answer.error} /> : null}
      {answer.data?.status === "failed" ? (
        <Alert color="red" variant="light" title={answer.data.message ?? "The model could not answer."}>
          <ApiText>{[answer.data.next_step]}</ApiText>
        </Alert>
      ) : null}
      {answer.data?.status === "done" ? <Answers answer={answer.data} /> : null}
    </Stack>
  );
}

function Answers({ answer }: { answer: Prediction }) {
  return (
    <Stack gap="md" data-testid="try-answers">
      {answer.items.map((item, index) => (
        <Panel key={`${index}-${item.text}`} title={item.text} order={3}>
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="lg">
            <Side name="Base model" side={item.base} />
            <Side name="Fine-tuned" side={item.tuned} />
          </SimpleGrid>
        </Panel>
      ))}
      {answer.note ? (
        <Text size="xs" c="dimmed">
          {answer.note}
        </Text>
      ) : null}
    </Stack>
  );
}

function Side({ name, side }: { name: string; side: Prediction["items"][number]["base"] }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <Text fw={600} mb={6}>
        {side.label}
      </Text>
      <Stack gap={4}>
        {Object.entries(side.probabilities).map(([label, share]) => (
          <Group key={label} gap="xs" wrap="nowrap">
            <Text size="xs" w={90} className="clip" title={label}>
              {label}
            </Text>
            <Progress value={100 * share} flex={1} aria-label={`${name}: ${label}`} />
            <Text size="xs" w={48} ta="right" className="numbers">
              {(100 * share).toFixed(1)} %
            </Text>
          </Group>
        ))}
      </Stack>
    </div>
  );
}
