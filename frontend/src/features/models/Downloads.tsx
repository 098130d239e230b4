import { ActionIcon, Badge, Button, Group, Progress, Stack, Text, TextInput, Tooltip } from "@mantine/core";
import { IconDownload, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { ModelDownload } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { ApiText } from "@/components/text/ApiText";
import { downloadsQuery, useDownloads } from "./queries";

/** Adds a model by its name on the hub; a worker downloads it in the background. */
export function Downloads() {
  const found = useQuery(downloadsQuery);
  const { start, cancel } = useDownloads();
  return (
    <Panel
      title="Add from the hub"
      note="A worker downloads config, tokenizer and safetensors weights, checks their hashes, and stores the commit. Private and gated models need RANKSCOPE_HF_TOKEN on the worker."
    >
      <AddForm
        isBusy={start.isPending}
        onAdd={(hubId, revision, onDone) =>
          start.mutate({ hub_id: hubId, revision: revision || "main" }, { onSuccess: onDone })
        }
      />
      {found.data?.length ? (
        <Stack component="ul" gap="xs" mt="sm" mb={0} pl={0} style={{ listStyle: "none" }}>
          {found.data.map((download) => (
            <DownloadLine key={download.id} download={download} onCancel={() => cancel.mutate(download)} />
          ))}
        </Stack>
      ) : null}
    </Panel>
  );
}

interface AddFormProps {
  isBusy: boolean;
  onAdd: (hubId: string, revision: string, onDone: () => void) => void;
}

function AddForm({ isBusy, onAdd }: AddFormProps) {
  const [hubId, setHubId] = useState("");
  const [revision, setRevision] = useState("");
  const add = (event: FormEvent) => {
    event.preventDefault();
    const sent = hubId.trim();
    // What was typed meanwhile stays.
    if (sent) onAdd(sent, revision.trim(), () => setHubId((now) => (now.trim() === sent ? "" : now)));
  };
  return (
    <form onSubmit={add}>
      <Group gap="xs" align="flex-end">
        <TextInput
          label="Model"
          placeholder="facebook/bart-base"
          value={hubId}
          onChange={(event) => setHubId(event.currentTarget.value)}
          maxLength={150}
          w={{ base: "100%", xs: 280 }}
        />
        <TextInput
          label="Revision"
          placeholder="main"
          value={revision}
          onChange={(event) => setRevision(event.currentTarget.value)}
          maxLength={200}
          w={{ base: "100%", xs: 160 }}
        />
        <Button
          type="submit"
          leftSection={<IconDownload size={15} />}
          loading={isBusy}
          disabled={!hubId.trim()}
        >
          Download
        </Button>
      </Group>
    </form>
  );
}

const states: Record<ModelDownload["status"], string> = {
  waiting: "Waiting for a worker",
  running: "Downloading",
  done: "Done",
  failed: "Failed",
};

function DownloadLine({ download, onCancel }: { download: ModelDownload; onCancel: () => void }) {
  const isActive = download.status === "waiting" || download.status === "running";
  const percent = Math.floor((download.progress ?? 0) * 100);
  const state = download.status === "running" ? `Downloading, ${percent} %` : states[download.status];
  const what = isActive ? "Cancel the download of" : "Remove from the list:";
  return (
    <li data-download={download.hub_id}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" className="model-id">
          {download.hub_id}
          <Text span c="dimmed" size="xs">
            {" "}
            {download.commit ? download.commit.slice(0, 8) : download.revision}
          </Text>
        </Text>
        <Group gap={6} wrap="nowrap">
          {download.status === "failed" ? (
            <Badge color="red" variant="light" radius="sm" tt="none">
              {state}
            </Badge>
          ) : (
            <Text size="sm" c="dimmed" className="numbers download-state">
              {state}
            </Text>
          )}
          <Tooltip label={isActive ? "Cancel; a later download continues" : "Remove from the list"}>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`${what} ${download.hub_id}`}
              onClick={onCancel}
            >
              <IconX size={14} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      {download.status === "running" ? (
        <Progress value={percent} size="sm" mt={2} aria-label={`Download of ${download.hub_id}`} />
      ) : null}
      {download.message ? (
        <Text size="sm">
          <ApiText>{`${download.message} ${download.next_step ?? ""}`}</ApiText>
        </Text>
      ) : null}
    </li>
  );
}
