import { Button, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import { runQuery } from "@/api/queries";
import { ErrorState } from "@/components/feedback/states";
import { notify } from "@/components/feedback/toast";
import { useFocusReturn } from "@/components/feedback/use-focus-return";
import { plural } from "@/components/text/plural";
import { keyOf, type Group as RunGroup } from "@/features/compare/view/looks";
import { nameWithSeed, nextSeeds } from "./seeds";

const mostSeeds = 10;

/** Launches the first run of a group again with other seeds. */
export function SeedsDialog({ group, onClose }: { group: RunGroup; onClose: () => void }) {
  const run = useQuery(runQuery(keyOf(group)));
  const client = useQueryClient();
  const [count, setCount] = useState<number>(Math.max(1, 5 - group.run_ids.length));
  const seeds = nextSeeds(group.seeds, count);
  const launch = useMutation({
    mutationFn: async () => {
      if (!run.data) return;
      const { config, name, tags, priority } = run.data;
      for (const seed of seeds) {
        await unwrap(
          http.POST("/api/v1/runs", {
            body: {
              config: { ...config, training: { ...config.training, seed } },
              name: nameWithSeed(name, seed),
              notes: `Another seed of run ${run.data.id}.`,
              ...{ tags, priority },
            },
          }),
        );
      }
    },
    onSuccess: () => {
      notify(`${plural(seeds.length, "run")} queued.`);
      onClose();
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
  useFocusReturn();
  return (
    <Modal opened onClose={onClose} title="Launch other seeds" centered>
      <Stack gap="sm">
        <Text size="sm">
          The same configuration as “{group.name}”, with other seeds. The spread over seeds shows which
          differences between methods are more than chance; five seeds of each method are a good start.
        </Text>
        <NumberInput
          label="Runs"
          value={count}
          onChange={(value) => setCount(Math.min(mostSeeds, Math.max(1, Math.floor(Number(value)) || 1)))}
          min={1}
          max={mostSeeds}
          allowDecimal={false}
          description={`Seeds ${seeds.join(", ")}.`}
        />
        {launch.error ? <ErrorState error={launch.error} title="Could not launch" /> : null}
        {run.error ? <ErrorState error={run.error} /> : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button
            loading={launch.isPending || run.isPending}
            disabled={!run.data}
            onClick={() => launch.mutate()}
            data-testid="launch-seeds"
          >
            Launch {plural(seeds.length, "run")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
