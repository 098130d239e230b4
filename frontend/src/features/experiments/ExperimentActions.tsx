import { Button, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import type { ExperimentDetail } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import { newSeeds } from "@/components/trials/new-seeds";
import { PauseResumeStop, type SteerAction } from "@/components/trials/PauseResumeStop";

/** Pause, resume, stop, and more seeds. Imported results have none of them. */
export function ExperimentActions({ experiment }: { experiment: ExperimentDetail }) {
  const client = useQueryClient();
  const [isAdding, setAdding] = useState(false);
  const [more, setMore] = useState(5);
  const { design, status } = experiment;
  const path = { params: { path: { experiment_id: experiment.id } } };
  const after = {
    onSuccess: () => void client.invalidateQueries({ queryKey: ["experiments"] }),
    onError: (error: Error) => notifyError("Could not change the experiment", error),
  };
  const change = useMutation({
    mutationFn: (action: SteerAction) =>
      unwrap(http.POST(`/api/v1/experiments/{experiment_id}/${action}`, path)),
    ...after,
  });
  const extend = useMutation({
    mutationFn: () =>
      unwrap(
        http.POST("/api/v1/experiments/{experiment_id}/extend", {
          ...path,
          body: { seeds: newSeeds([...design.seeds, ...design.tuning.seeds], more) },
        }),
      ),
    ...after,
    onSettled: () => setAdding(false),
  });
  if (experiment.source !== "launched") return null;
  const isRunning = status === "tuning" || status === "testing";
  return (
    <>
      <PauseResumeStop
        state={isRunning ? "running" : status === "paused" || status === "stopped" ? status : "other"}
        noun="experiment"
        busy={change.isPending ? change.variables : null}
        onAct={change.mutate}
        stopping="Queued runs are removed from the queue. Running ones are stopped and count as failed. Pause instead to let them finish."
      />
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
            {design.used_looks + 1 < design.planned_looks
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
