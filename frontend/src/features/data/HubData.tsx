import { Anchor, Button, Group, Stack, TextInput } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { http, unwrap } from "@/api/client";
import { notifyError } from "@/components/feedback/toast";
import { DownloadLine } from "@/components/hub/DownloadLine";
import { dataDownloadsQuery, downloadData, shownDownloads } from "@/components/hub/downloads";
import { Panel } from "@/components/layout/Panel";

/** Adds a data set by its name on the hub; a worker downloads and imports it in the background. */
export function HubData() {
  const client = useQueryClient();
  const found = useQuery(dataDownloadsQuery);
  const onSettled = () => client.invalidateQueries({ queryKey: dataDownloadsQuery.queryKey });
  const cancel = useMutation({
    mutationFn: (id: string) =>
      unwrap(
        http.POST("/api/v1/data-downloads/{download_id}/cancel", { params: { path: { download_id: id } } }),
      ),
    onError: (error) => notifyError("Could not cancel the download", error),
    onSettled,
  });
  const done = found.data?.filter((one) => one.status === "done").length ?? 0;
  const before = useRef(done);
  useEffect(() => {
    if (done > before.current) void client.invalidateQueries({ queryKey: ["datasets"] });
    before.current = done;
  }, [done, client]);
  return (
    <Panel
      title="From the hub"
      note="A worker downloads the data set's CSV, JSON or Parquet files, checks their hashes, and imports them with their splits. Code in it is never executed. Private and gated data sets need RANKSCOPE_HF_TOKEN on the worker."
    >
      <AddForm onAdded={onSettled} />
      {found.data?.length ? (
        <Stack component="ul" gap="xs" mt="sm" mb={0} pl={0} style={{ listStyle: "none" }}>
          {shownDownloads(found.data).map((one) => (
            <DownloadLine key={one.id} download={one} onCancel={() => cancel.mutate(one.id)}>
              {one.subset}
              {one.dataset_id ? (
                <>
                  {" "}
                  <Anchor component={Link} to={`/data/${encodeURIComponent(one.dataset_id)}`} size="sm">
                    Open
                  </Anchor>
                </>
              ) : null}
            </DownloadLine>
          ))}
        </Stack>
      ) : null}
    </Panel>
  );
}

function AddForm({ onAdded }: { onAdded: () => void }) {
  const [hubId, setHubId] = useState("");
  const [subset, setSubset] = useState("");
  const [revision, setRevision] = useState("");
  const start = useMutation({
    mutationFn: () =>
      downloadData({
        hub_id: hubId.trim(),
        subset: subset.trim() || null,
        revision: revision.trim() || "main",
      }),
    onError: (error) => notifyError("Could not start the download", error),
    onSettled: onAdded,
  });
  const add = (event: FormEvent) => {
    event.preventDefault();
    if (hubId.trim()) start.mutate();
  };
  return (
    <form onSubmit={add}>
      <Group gap="xs" align="flex-end">
        <TextInput
          label="Data set"
          placeholder="nyu-mll/glue"
          value={hubId}
          onChange={(event) => setHubId(event.currentTarget.value)}
          maxLength={150}
          w={{ base: "100%", xs: 280 }}
        />
        <TextInput
          label="Subset"
          placeholder="if it has several"
          value={subset}
          onChange={(event) => setSubset(event.currentTarget.value)}
          maxLength={200}
          w={{ base: "100%", xs: 160 }}
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
          loading={start.isPending}
          disabled={!hubId.trim()}
        >
          Download
        </Button>
      </Group>
    </form>
  );
}
