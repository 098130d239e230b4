import { Button, Group, Stack, TextInput } from "@mantine/core";
import { IconLock, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useState } from "react";
import type { RunDetail, RunStatus } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { Panel } from "@/components/layout/Panel";
import { numberOption, useMethod } from "@/components/runs/methods";
import { useRunActions } from "@/components/runs/use-run-actions";
import { steeringText } from "@/features/run/live/timeline";

/** Steering of a run while its ranks still change; nothing for other runs. */
export function SteerPanel({ run, status }: { run: RunDetail; status: RunStatus }) {
  const { steer } = useRunActions();
  const [isFreezing, setFreezing] = useState(false);
  const method = useMethod(run.method);
  const [target, setTarget] = useState("");
  const isLive = status === "starting" || status === "running" || status === "interrupted";
  if (!method.can_be_steered || !isLive || run.settled_step !== null) return null;
  const asked = run.config.steering?.filter((entry) => entry.action === "target").at(-1)?.target_rank;
  const present = asked ?? numberOption(run.config.method, method.budget_field) ?? 1;
  const pending = run.steer_requests.map((one) => steeringText(one.action, one.target_rank));
  return (
    <Panel
      title="Steering"
      note={
        pending.length
          ? `Pending until the current step ends: ${pending.join("; ")}.`
          : run.is_held
            ? "Pruning is held: nothing is pruned until you release it."
            : "Requests are recorded; a resumed run repeats them at the same step."
      }
    >
      <Stack gap="sm">
        <Group gap="xs">
          {run.is_held ? (
            <Button
              size="xs"
              leftSection={<IconPlayerPlay size={15} />}
              onClick={() => steer.mutate({ run, action: "release" })}
              loading={steer.isPending}
              data-testid="steer-release"
            >
              Release pruning
            </Button>
          ) : (
            <Button
              size="xs"
              variant="default"
              leftSection={<IconPlayerPause size={15} />}
              onClick={() => steer.mutate({ run, action: "hold" })}
              loading={steer.isPending}
              data-testid="steer-hold"
            >
              Hold pruning
            </Button>
          )}
          <Button
            size="xs"
            variant="default"
            leftSection={<IconLock size={15} />}
            onClick={() => setFreezing(true)}
            data-testid="steer-freeze"
          >
            Freeze the mask now
          </Button>
        </Group>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (target !== "") steer.mutate({ run, action: "target", targetRank: Number(target) });
            setTarget("");
          }}
        >
          <Group gap="xs" align="flex-end">
            <TextInput
              type="number"
              size="xs"
              label={`Target rank, now ${present}`}
              placeholder={String(present)}
              value={target}
              onChange={(event) => setTarget(event.currentTarget.value)}
              min={1}
              max={numberOption(run.config.method, "initial_rank") ?? undefined}
              step={1}
              w={150}
            />
            <Button size="xs" type="submit" variant="default" disabled={target === ""}>
              Change
            </Button>
          </Group>
        </form>
      </Stack>
      <Confirm
        opened={isFreezing}
        title="Freeze the mask now?"
        action="Freeze"
        isBusy={steer.isPending}
        onClose={() => setFreezing(false)}
        onConfirm={() => steer.mutate({ run, action: "freeze" }, { onSettled: () => setFreezing(false) })}
      >
        The components that are live now stay, and the others are removed. You can't undo this in this run,
        but you can fork it from an earlier checkpoint.
      </Confirm>
    </Panel>
  );
}
