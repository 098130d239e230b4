import { Button, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { IconScale } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { http, unwrap } from "@/api/client";
import type { RunDetail } from "@/api/types";
import { notify, notifyError } from "@/components/feedback/toast";

/** Launches an experiment that tests whether the ranks that a finished run found are an improvement. */
export function AllocationQuestion({ run }: { run: RunDetail }) {
  const [isOpen, setOpen] = useState(false);
  const [seeds, setSeeds] = useState(3);
  const client = useQueryClient();
  const navigate = useNavigate();
  const launch = useMutation({
    mutationFn: () =>
      unwrap(
        http.POST("/api/v1/runs/{run_id}/experiment", {
          params: { path: { run_id: run.id } },
          body: { seeds },
        }),
      ),
    onSuccess: (made) => {
      void client.invalidateQueries({ queryKey: ["experiments"] });
      void client.invalidateQueries({ queryKey: ["runs"] });
      notify(`${made.name}: launched.`);
      void navigate(`/experiments/${made.id}`);
    },
    onError: (error) => notifyError("Could not launch the experiment", error),
  });
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconScale size={16} />}
        onClick={() => setOpen(true)}
        data-testid="did-it-help"
      >
        Did the allocation help?
      </Button>
      <Modal opened={isOpen} onClose={() => setOpen(false)} title="Did the allocation help?" centered>
        <Stack gap="md">
          <Text size="sm">
            Trains plain LoRA at this run's budget, and plain LoRA with the ranks that this run found, with
            the ranks of another seed, and with the same ranks permuted among the modules. The answer says
            what explains the difference. This run is reused as the run of its seed.
          </Text>
          <NumberInput
            label="Seeds"
            description="Runs of each kind. One seed does not show how much results vary by chance."
            value={seeds}
            onChange={(value) => setSeeds(Number(value) || 1)}
            min={1}
            max={20}
            allowDecimal={false}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => setOpen(false)}>
              Cancel
            </Button>
            <Button loading={launch.isPending} onClick={() => launch.mutate()} data-testid="launch-question">
              Launch
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
