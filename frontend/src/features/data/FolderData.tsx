import { Button, Group, Select } from "@mantine/core";
import { IconFolder } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import { notifyError } from "@/components/feedback/toast";
import { Panel } from "@/components/layout/Panel";
import { bytes } from "@/components/text/format";
import { dataFoldersQuery, importsQuery } from "./queries";

/** Imports the files of a folder in datasets/ as one data set, if there is a folder with data. */
export function FolderData() {
  const client = useQueryClient();
  const folders = useQuery(dataFoldersQuery).data ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const start = useMutation({
    mutationFn: (folder: string) => unwrap(http.POST("/api/v1/data-folders", { body: { folder } })),
    onSuccess: () => setChosen(null),
    onError: (error) => notifyError("The import was not started", error),
    onSettled: () => client.invalidateQueries({ queryKey: importsQuery.queryKey }),
  });
  return folders.length === 0 ? null : (
    <Panel
      title="From a folder"
      note="A folder in datasets/ inside the data folder. Its files, such as the shards of a large data set, become one data set."
    >
      <Group gap="xs" align="flex-end">
        <Select
          label="Folder"
          searchable
          clearable
          data={folders.map((each) => ({
            value: each.folder,
            label: `${each.folder} (${each.files} ${each.files === 1 ? "file" : "files"}, ${bytes(each.size_bytes)})`,
          }))}
          value={chosen}
          onChange={setChosen}
          w={{ base: "100%", xs: 448 }}
        />
        <Button
          leftSection={<IconFolder size={15} />}
          loading={start.isPending}
          disabled={chosen === null}
          onClick={() => chosen !== null && start.mutate(chosen)}
        >
          Import
        </Button>
      </Group>
    </Panel>
  );
}
