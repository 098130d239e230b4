import { Alert, Button, Group, Skeleton, Stack, Text, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { http, unwrap } from "@/api/client";
import type { Prediction, RunDetail } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { ApiText } from "@/components/text/ApiText";
import { Guesses } from "./Guesses";
import { type Input, usePredictions } from "./use-predictions";

/** In the box for several inputs, one per line. */
const mostCharacters = 5000;

/** Predictions of the base model and the fine-tuned model for inputs that you enter. */
export default function TryTab({ run }: { run: RunDetail }) {
  const [typed, setTyped] = useState<Input>({});
  const form = useQuery({
    queryKey: ["run", run.id, "prediction-form"],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/predictions", { signal, params: { path: { run_id: run.id } } })),
    enabled: Boolean(run.artifact),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const { ask, answer, isBusy } = usePredictions(run.id);
  if (!run.artifact) {
    return (
      <EmptyState title="Nothing to try yet">
        You can try the fine-tuned model when training has ended.
      </EmptyState>
    );
  }
  if (form.error)
    return (
      <ErrorState title="Could not load the fields" error={form.error} onRetry={() => void form.refetch()} />
    );
  if (!form.data) return <Skeleton height={220} />;
  const { fields, most_inputs, most_characters } = form.data;
  const [first] = fields;
  const isByLine = fields.length === 1 && first !== undefined && !first.is_long;
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate(isByLine ? linesOf(typed[first.name] ?? "").map((line) => ({ [first.name]: line })) : [typed]);
  };
  const isComplete = fields.every((field) => !field.is_required || typed[field.name]?.trim());
  return (
    <Stack gap="md">
      <Panel
        title="Try it"
        note={`${isByLine ? `One text per line, up to ${most_inputs}. ` : ""}A worker loads the model for each request.`}
      >
        <form onSubmit={onSubmit}>
          <Stack gap="xs">
            {fields.map((field, index) => (
              <Textarea
                key={field.name}
                {...(isByLine ? { "aria-label": "Text" } : { label: field.title })}
                placeholder={isByLine ? "A text like those in the data set" : ""}
                autosize
                minRows={isByLine || field.is_long ? 3 : 1}
                maxRows={10}
                maxLength={isByLine ? mostCharacters : most_characters}
                value={typed[field.name] ?? ""}
                onChange={(event) => {
                  const { value } = event.currentTarget;
                  setTyped((before) => ({ ...before, [field.name]: value }));
                }}
                data-testid={index === 0 ? "try-text" : `try-text-${index}`}
              />
            ))}
          </Stack>
          <Group mt="xs" gap="md">
            <Button type="submit" disabled={!isComplete} loading={isBusy} data-testid="try-run">
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

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/** The typed input, without the text in which the answer is marked. */
function titleOf({ text, inputs, tuned }: Prediction["items"][number]): string {
  const shown = tuned.kind === "span" ? tuned.field : null;
  const asked = Object.entries(inputs ?? {}).filter(([name]) => name !== shown);
  return shown !== null && asked.length ? asked.map(([, typed]) => typed).join(" | ") : text;
}

function Answers({ answer }: { answer: Prediction }) {
  return (
    <Stack gap="md" data-testid="try-answers">
      {answer.items.map((item, index) => (
        <Panel key={`${index}-${item.text}`} title={titleOf(item)} order={3}>
          <Guesses item={item} />
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
