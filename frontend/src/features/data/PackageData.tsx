import { Button, Group, Select } from "@mantine/core";
import { IconPackageImport } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import { notifyError } from "@/components/feedback/toast";
import { Panel } from "@/components/layout/Panel";
import { bytes } from "@/components/text/format";
import { importsQuery, packageFilesQuery } from "./queries";

/** Imports a data file of an installed package, if the installation allows some. */
export function PackageData() {
  const client = useQueryClient();
  const files = useQuery(packageFilesQuery).data ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const start = useMutation({
    mutationFn: ({ package: name, path }: { package: string; path: string }) =>
      unwrap(http.POST("/api/v1/data-packages", { body: { package: name, path } })),
    onSuccess: () => setChosen(null),
    onError: (error) => notifyError("The import was not started", error),
    onSettled: () => client.invalidateQueries({ queryKey: importsQuery.queryKey }),
  });
  const file = files[Number(chosen ?? -1)];
  return files.length === 0 ? null : (
    <Panel
      title="From an installed package"
      note="Data files of the packages in RANKSCOPE_DATA_PACKAGES. They are only read, never executed."
    >
      <Group gap="xs" align="flex-end">
        <Select
          label="File"
          placeholder="Choose a file"
          searchable
          clearable
          data={files.map((each, index) => ({
            value: String(index),
            label: `${each.package}: ${each.path} (${bytes(each.size_bytes)})`,
          }))}
          value={chosen}
          onChange={setChosen}
          w={{ base: "100%", xs: 448 }}
        />
        <Button
          leftSection={<IconPackageImport size={15} />}
          loading={start.isPending}
          disabled={!file}
          onClick={() => file && start.mutate(file)}
        >
          Import
        </Button>
      </Group>
    </Panel>
  );
}
