import { Button, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop, IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import type { ExperimentDetail } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";

type Action = "pause" | "resume" | "stop";

/** Pause, resume, stop, and more seeds. Imported results have none of them. */
export function ExperimentActions({ experiment }: { experiment: ExperimentDetail }) {
  const client = useQueryClient();
  const [isAdding, setAdding] = useState(false);
  const [more, setMore] = useState(5);
  const path = { params: { path: { experiment_id: experiment.id } } };
  const after = {
    onSuccess: () => void client.invalidateQueries({ queryKey: ["experiments"] }),
    onError: (error: Error) => notifyError("Could not change the experiment", error),
  };
  const change = useMutation({
    mutationFn: (action: Action) => unwrap(http.POST(`/api/v1/experiments/{experiment_id}/${action}`, path)),
    ...after,
  });
  const extend = useMutation({
    mutationFn: () =>
      unwrap(
        http.POST("/api/v1/experiments/{experiment_id}/extend", {
          ...path,
          body: { seeds: newSeeds(experiment, more) },
        }),
      ),
    ...after,
    onSettled: () => setAdding(false),
  });
  if (experiment.source !== "launched") return null;
  const { status } = experiment;
  const isRunning = status === "tuning" || status === "testing";
  return (
    <>
      {isRunning ? (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlayerPause size={14} />}
          loading={change.isPending && change.variables === "pause"}
          onClick={() => change.mutate("pause")}
        >
          Pause
        </Button>
      ) : null}
      {status === "paused" || status === "stopped" ? (
        <Button
          size="xs"
          leftSection={<IconPlayerPlay size={14} />}
          loading={change.isPending && change.variables === "resume"}
          onClick={() => change.mutate("resume")}
        >
          Resume
        </Button>
      ) : null}
      {isRunning || status === "paused" ? (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlayerStop size={14} />}
          loading={change.isPending && change.variables === "stop"}
          onClick={() => change.mutate("stop")}
        >
          Stop
        </Button>
      ) : null}
      {status === "failed" ? null : (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={14} />}
          onClick={() => setAdding(true)}
        >
          More seeds
        </Button>
      )}
      <Modal opened={isAdding} onClose={() => setAdding(false)} title="More seeds" centered>
        <Stack gap="md">
          <Text size="sm">
            Every method and control is trained with more seeds, at the rates that were chosen.
            {experiment.design.used_looks + 1 < experiment.design.planned_looks
              ? " This look was planned, and the p values are corrected for it."
              : " If the answer was shown before, the result is marked as extended after looking."}
          </Text>
          <NumberInput
            label="Seeds to add"
            value={more}
            onChange={(value) => setMore(Number(value) || 1)}
            min={1}
            max={50}
            allowDecimal={false}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => setAdding(false)}>
              Cancel
            </Button>
            <Button loading={extend.isPending} onClick={() => extend.mutate()}>
              Add
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

/** The smallest seeds that are neither seeds of the result nor of tuning. */
function newSeeds({ design }: ExperimentDetail, count: number): number[] {
  const used = new Set([...design.seeds, ...design.tuning.seeds]);
  const found: number[] = [];
  for (let seed = 0; found.length < count; seed++) if (!used.has(seed)) found.push(seed);
  return found;
}
