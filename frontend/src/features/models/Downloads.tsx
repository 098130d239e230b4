import { Button, Group, Stack, TextInput } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { DownloadLine } from "@/components/hub/DownloadLine";
import { modelDownloadsQuery, shownDownloads } from "@/components/hub/downloads";
import { Panel } from "@/components/layout/Panel";
import { useDownloads } from "./queries";

/** Adds a model by its name on the hub; a worker downloads it in the background. */
export function Downloads() {
  const found = useQuery(modelDownloadsQuery);
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
          {shownDownloads(found.data).map((download) => (
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
    // Keep what was typed in the meantime.
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
