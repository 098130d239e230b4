import { Button, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import type { SweepDetail, SweepExtension } from "@/api/types";
import { notify, notifyError } from "@/components/feedback/toast";
import { newSeeds } from "@/components/trials/new-seeds";

interface ExtendDialogProps {
  sweep: SweepDetail;
  opened: boolean;
  onClose: () => void;
}

type Amount = number | "";

/** More points or seeds, and more time or runs for a sweep that has a limit. */
export function ExtendDialog({ sweep, opened, onClose }: ExtendDialogProps) {
  const client = useQueryClient();
  const [points, setPoints] = useState<Amount>("");
  const [seeds, setSeeds] = useState<Amount>("");
  const [hours, setHours] = useState<Amount>("");
  const [runs, setRuns] = useState<Amount>("");
  const { design } = sweep;
  const body: SweepExtension = {
    seeds: newSeeds(design.seeds, seeds || 0),
    ...(points ? { points } : {}),
    ...(hours ? { hours } : {}),
    ...(runs ? { runs } : {}),
  };
  const extend = useMutation({
    mutationFn: () =>
      unwrap(
        http.POST("/api/v1/sweeps/{sweep_id}/extend", { params: { path: { sweep_id: sweep.id } }, body }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["sweeps"] });
      notify(`Extended ${sweep.name}.`);
      onClose();
    },
    onError: (error) => notifyError("Could not extend the sweep", error),
  });
  const isEmpty = !points && !seeds && !hours && !runs;
  const amount = (set: (value: Amount) => void) => (value: number | string) =>
    set(typeof value === "number" ? value : "");
  return (
    <Modal opened={opened} onClose={onClose} title="Extend this sweep" centered>
      <Stack gap="md">
        <Text size="sm">A sweep that has ended continues until these are done.</Text>
        {sweep.kind === "grid" ? null : (
          <NumberInput
            label="Points to add"
            value={points}
            onChange={amount(setPoints)}
            min={1}
            max={1000}
            allowDecimal={false}
          />
        )}
        <NumberInput
          label="Seeds to add"
          description="Every point is trained with them, except those that were stopped early."
          value={seeds}
          onChange={amount(setSeeds)}
          min={1}
          max={20}
          allowDecimal={false}
        />
        {design.stop.hours ? (
          <NumberInput label="Hours to add" value={hours} onChange={amount(setHours)} min={0} />
        ) : null}
        {design.stop.runs ? (
          <NumberInput
            label="Runs to add to the limit"
            value={runs}
            onChange={amount(setRuns)}
            min={1}
            allowDecimal={false}
          />
        ) : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button loading={extend.isPending} disabled={isEmpty} onClick={() => extend.mutate()}>
            Extend
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
