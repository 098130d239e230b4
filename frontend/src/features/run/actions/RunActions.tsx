import { Button, type ButtonProps, Group, Menu, Tooltip } from "@mantine/core";
import {
  IconAdjustmentsHorizontal,
  IconArrowFork,
  IconBraces,
  IconChevronDown,
  IconCopy,
  IconDownload,
  IconEdit,
  IconFileZip,
  IconPlayerPlay,
  IconPlayerStop,
  IconRefresh,
  IconScale,
  IconTrash,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { Link, useNavigate } from "react-router";
import { isActive } from "@/api/active-runs";
import { withChanges } from "@/api/config";
import { controlsQuery } from "@/api/queries";
import type { RunDetail, RunStatus } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { notifyError } from "@/components/feedback/toast";
import { useMethod } from "@/components/runs/methods";
import { useRunActions } from "@/components/runs/use-run-actions";
import { lazyPart } from "@/components/server/load-part";

// Loaded on demand: its number input is large, and few pages show it.
const AllocationQuestion = lazyPart(
  () => import("./AllocationQuestion"),
  (module) => module.AllocationQuestion,
);
const ForkDialog = lazyPart(
  () => import("./ForkDialog"),
  (module) => module.ForkDialog,
);

/** The actions that are available for a run. The API decides whether they are allowed. */
export function RunActions({ run, status }: { run: RunDetail; status: RunStatus }) {
  const { stop, resume, retry, fork, launch, remove } = useRunActions();
  const method = useMethod(run.method);
  const controls = useQuery({
    ...controlsQuery(run.id),
    enabled: method.has_ranks && run.artifact === "adapter",
  });
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  const [isDiscarding, setDiscarding] = useState(false);
  const [isForking, setForking] = useState(false);
  // Only for the row's own status, which is the one that the remedy refers to.
  const remedy = status === run.status && run.remedy?.action !== "resume" ? run.remedy : null;
  // For any other status, the reasons are unknown until the row is read again.
  const why = (action: "resume" | "fork") => (status === run.status ? run.unavailable[action] : undefined);
  const goTo = (made: { id: string }) => void navigate(`/runs/${made.id}`);
  const apply = () => {
    if (remedy?.action === "launch")
      launch.mutate(
        {
          config: withChanges(run.config, remedy.changes),
          name: run.name,
          tags: run.tags,
          notes: `${remedy.label}, after run ${run.id}.`,
          priority: run.priority,
        },
        { onSuccess: goTo },
      );
    if (remedy?.action === "retry") retry.mutate({ run, changes: remedy.changes });
    if (remedy?.action === "fork")
      fork.mutate(
        { run, step: remedy.step, changes: remedy.changes, name: null },
        {
          onSuccess: goTo,
          onError: (error) => notifyError("Could not fork", error),
        },
      );
  };
  const isOnWorker = isActive(status);
  const isWaiting = status === "queued" || status === "interrupted";
  const file = (name: string) => `/api/v1/runs/${encodeURIComponent(run.id)}/${name}`;
  return (
    <Group gap="xs">
      {isWaiting || (isOnWorker && status !== "stopping") ? (
        <Button
          leftSection={<IconPlayerStop size={16} />}
          onClick={() => stop.mutate({ runs: [run], save: true })}
          loading={stop.isPending && stop.variables.save}
          title={isWaiting ? undefined : "Saves a checkpoint first, so that the run can be resumed."}
          data-testid="stop-run"
        >
          {isWaiting ? "Remove from queue" : "Stop"}
        </Button>
      ) : null}
      {remedy && (
        <Button
          leftSection={<IconRefresh size={16} />}
          onClick={apply}
          loading={retry.isPending || fork.isPending || launch.isPending}
          data-testid="remedy"
        >
          {remedy.label}
        </Button>
      )}
      {(status === "stopped" || status === "failed") && (
        <ReasonedButton
          reason={why("resume")}
          variant={run.remedy?.action === "resume" ? "filled" : "default"}
          leftSection={<IconPlayerPlay size={16} />}
          onClick={() => resume.mutate(run)}
          loading={resume.isPending}
          data-testid="resume-run"
        >
          Resume
        </ReasonedButton>
      )}
      {run.artifact === "adapter" && (
        <Button
          component="a"
          href={file("adapter")}
          download
          leftSection={<IconDownload size={16} />}
          data-testid="download-adapter"
        >
          Download adapter
        </Button>
      )}
      {status === "done" && run.artifact === "adapter" && method.rank_changes !== "never" && (
        <Suspense>
          <AllocationQuestion run={run} />
        </Suspense>
      )}
      {status === "queued" && run.attempt === 0 && (
        <Button
          variant="default"
          component={Link}
          to={`/new?edit=${run.id}`}
          leftSection={<IconEdit size={16} />}
          data-testid="edit-run"
        >
          Edit
        </Button>
      )}
      <ReasonedButton
        reason={why("fork")}
        variant="default"
        leftSection={<IconArrowFork size={16} />}
        onClick={() => setForking(true)}
        data-testid="fork-run"
      >
        Fork
      </ReasonedButton>
      <Button
        variant="default"
        component={Link}
        to={`/new?from=${run.id}`}
        leftSection={<IconCopy size={16} />}
      >
        Duplicate
      </Button>
      <Menu position="bottom-end" width={270}>
        <Menu.Target>
          <Button variant="default" rightSection={<IconChevronDown size={14} />}>
            More
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            component="a"
            href={file("rank_pattern.json")}
            download={`${run.id}-rank_pattern.json`}
            leftSection={<IconBraces size={15} />}
            disabled={!method.has_ranks || run.artifact !== "adapter"}
          >
            rank_pattern.json
          </Menu.Item>
          <Menu.Item
            component="a"
            href={file("log/download")}
            download
            leftSection={<IconFileZip size={15} />}
          >
            Download log
          </Menu.Item>
          {controls.data?.length ? (
            <>
              <Menu.Divider />
              <Menu.Label>Launch for comparison</Menu.Label>
              {controls.data.map((control) => (
                <Menu.Item
                  key={control.key}
                  component={Link}
                  to={`/new?from=${run.id}&as=${control.key}`}
                  leftSection={<IconScale size={15} />}
                  title={control.description}
                  data-testid={`launch-${control.key}`}
                >
                  {control.title}
                </Menu.Item>
              ))}
            </>
          ) : null}
          <Menu.Divider />
          <Menu.Item
            component={Link}
            to={`/sweeps/new?run=${run.id}`}
            leftSection={<IconAdjustmentsHorizontal size={15} />}
            title="Train this configuration with different values of some fields, and rank the results."
            data-testid="sweep-around-run"
          >
            Sweep around this run
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            color="red"
            leftSection={<IconPlayerStop size={15} />}
            disabled={!isOnWorker}
            onClick={() => setDiscarding(true)}
            data-testid="discard-run"
          >
            Discard and stop
          </Menu.Item>
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={15} />}
            disabled={isOnWorker}
            onClick={() => setAsking(true)}
          >
            Delete
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {isForking && (
        <Suspense>
          <ForkDialog run={run} onClose={() => setForking(false)} />
        </Suspense>
      )}
      <Confirm
        opened={isDiscarding}
        title="Stop without saving?"
        action="Discard and stop"
        isBusy={stop.isPending}
        onClose={() => setDiscarding(false)}
        onConfirm={() => stop.mutate({ runs: [run], save: false }, { onSettled: () => setDiscarding(false) })}
      >
        The run ends at once. The steps since its last checkpoint are lost; a resume repeats them.
      </Confirm>
      <Confirm
        opened={isAsking}
        title="Delete this run?"
        action="Delete"
        isBusy={remove.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate([run], { onSuccess: () => void navigate("/") })}
      >
        Its history, logs, checkpoints and adapter are removed. This cannot be undone.
      </Confirm>
    </Group>
  );
}

/** A button that shows why it is disabled. It stays focusable for keyboards and screen readers. */
function ReasonedButton({
  reason,
  onClick,
  ...button
}: ButtonProps & {
  reason: string | undefined;
  onClick: () => void;
  children: string;
  "data-testid": string;
}) {
  if (reason === undefined) return <Button {...button} onClick={onClick} />;
  return (
    <Tooltip label={reason} events={{ hover: true, focus: true, touch: true }}>
      <Button {...button} data-disabled aria-disabled aria-description={reason} />
    </Tooltip>
  );
}
