import { Alert, Button, Group, Modal, NumberInput, Select, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { ApiError } from "@/api/client";
import type { RunConfig, RunDetail } from "@/api/types";
import { useFocusReturn } from "@/components/feedback/use-focus-return";
import { numberOption, useMethod } from "@/components/runs/methods";
import { useRunActions } from "@/components/runs/use-run-actions";
import { count } from "@/components/text/format";
import { checkpointsQuery } from "./queries";

interface ForkDialogProps {
  run: RunDetail;
  /** Step of the preselected checkpoint; omitted: the newest. */
  step?: number;
  onClose: () => void;
}

/** Creates a run from a checkpoint of this one. The server checks the changes. */
export function ForkDialog({ run, step, onClose }: ForkDialogProps) {
  const checkpoints = useQuery(checkpointsQuery(run.id));
  const { fork } = useRunActions();
  const method = useMethod(run.method);
  const targetField = method.fork_fields.find((field) => field === method.budget_field) ?? null;
  const navigate = useNavigate();
  const [chosen, setChosen] = useState<string | null>(step === undefined ? null : String(step));
  /** null: not edited, so that it follows the checkpoint. */
  const [typedSteps, setTypedSteps] = useState<number | string | null>(null);
  const [rate, setRate] = useState<number | string>(run.config.training.learning_rate ?? "");
  /** null: not edited, so that it follows the checkpoint. */
  const [typedTarget, setTypedTarget] = useState<number | string | null>(null);
  const [name, setName] = useState("");
  const choices = [...new Set((checkpoints.data ?? []).map((one) => one.step))].sort((a, b) => b - a);
  const best = checkpoints.data?.find((one) => one.is_best)?.step;
  const from = chosen ?? (choices[0] === undefined ? null : String(choices[0]));

  const startTarget = targetAt(run.config, targetField, from === null ? 0 : Number(from));
  const target = typedTarget ?? startTarget ?? "";
  const steps = typedSteps ?? stepsAfter(from === null ? 0 : Number(from), run.total_steps);
  const isSettled = run.settled_step !== null && from !== null && Number(from) >= run.settled_step;
  const isEdited =
    typedSteps !== null || name !== "" || rate !== run.config.training.learning_rate || typedTarget !== null;

  const submit = () => {
    const training = {
      ...(steps !== run.total_steps && steps !== "" ? { max_steps: Number(steps) } : {}),
      ...(rate !== run.config.training.learning_rate && rate !== "" ? { learning_rate: Number(rate) } : {}),
    };
    const budget =
      targetField !== null && startTarget !== null && !isSettled && target !== startTarget && target !== "";
    const changes = {
      ...(Object.keys(training).length ? { training } : {}),
      ...(budget ? { method: { [targetField]: Number(target) } } : {}),
    };
    fork.mutate(
      { run, step: from === null ? null : Number(from), changes, name: name.trim() || null },
      { onSuccess: (child) => void navigate(`/runs/${child.id}`) },
    );
  };

  useFocusReturn();
  return (
    // A click outside of the dialog or Escape must not discard what was typed.
    <Modal
      opened
      onClose={onClose}
      closeOnClickOutside={!isEdited}
      closeOnEscape={!isEdited}
      title="Fork this run"
      centered
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <Stack gap="sm">
          <Text size="sm" c="dimmed">
            A new run starts from a checkpoint of this one. This run does not change.
          </Text>
          {checkpoints.data && choices.length === 0 ? (
            <Alert color="orange" variant="light">
              This run has no checkpoint yet. It can be forked once it has written one.
            </Alert>
          ) : (
            <Select
              label="Checkpoint"
              data={choices.map((one) => ({
                value: String(one),
                label: `step ${count(one)}${one === best ? " (best)" : ""}`,
              }))}
              value={from}
              onChange={setChosen}
              allowDeselect={false}
            />
          )}
          <NumberInput
            label="Steps"
            value={steps}
            onChange={setTypedSteps}
            min={1}
            allowDecimal={false}
            description={
              from === null
                ? undefined
                : `In total; must be more than the checkpoint's ${count(Number(from))}.`
            }
          />
          <NumberInput
            label="Learning rate"
            value={rate}
            onChange={setRate}
            min={0}
            step={0.001}
            decimalScale={8}
          />
          {startTarget !== null && (
            <NumberInput
              label="Target rank"
              value={target}
              onChange={setTypedTarget}
              min={1}
              allowDecimal={false}
              disabled={isSettled}
              description={
                run.settled_step === null
                  ? undefined
                  : isSettled
                    ? `Fixed: the ranks are final since step ${count(run.settled_step)}. Choose an earlier checkpoint to change it.`
                    : undefined
              }
            />
          )}
          <TextInput
            label="Name"
            placeholder={`${run.name} (from step ${from ?? "…"})`}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            maxLength={200}
          />
          {fork.error ? <Refusal error={fork.error} /> : null}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={fork.isPending} disabled={from === null} data-testid="fork-submit">
              Fork
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Target rank at a step: the last one it was steered to by then, or the configuration's; null if it can't change. */
export function targetAt(config: RunConfig, field: string | null, step: number): number | null {
  if (field === null) return null;
  const steered = config.steering?.filter((entry) => entry.action === "target" && entry.step <= step).at(-1);
  return steered?.target_rank ?? numberOption(config.method, field);
}

/** Total steps to propose: from the last checkpoint of a finished run, only a longer run is possible. */
export function stepsAfter(checkpoint: number, total: number | null): number | string {
  if (total === null) return "";
  return checkpoint < total ? total : checkpoint + Math.max(1, Math.round(total / 2));
}

function Refusal({ error }: { error: Error }) {
  const fields = error instanceof ApiError ? error.fields : [];
  return (
    <Alert color="red" variant="light" role="alert" title="Can't fork with these changes">
      {fields.length === 0 ? (
        <Text size="sm">
          {error.message} {error instanceof ApiError ? error.nextStep : ""}
        </Text>
      ) : (
        fields.map((field) => (
          <Text size="sm" key={`${field.field}${field.message}`}>
            {field.field.replace("changes.", "")} {field.message}. {field.next_step}
          </Text>
        ))
      )}
    </Alert>
  );
}
