import { Anchor, Button, Group, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { http, unwrap } from "@/api/client";
import type { DatasetDetail, ReadOptions } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { notify, notifyError } from "@/components/feedback/toast";
import { Panel } from "@/components/layout/Panel";
import { bytes, count, dateTime } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { ReadOptionsForm } from "./ReadOptionsForm";

/** The versions of an imported data set: open, import again with other options, delete. */
export function VersionsPanel({ detail }: { detail: DatasetDetail }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [doomed, setDoomed] = useState<DatasetDetail["versions"][number] | null>(null);
  const [isReading, setReading] = useState(false);
  const current = detail.dataset.id;
  const refresh = () => client.invalidateQueries({ queryKey: ["datasets"] });
  const remove = useMutation({
    mutationFn: (id: string) =>
      unwrap(
        http.DELETE("/api/v1/datasets/{dataset_id}", {
          params: { path: { dataset_id: id }, query: { force: true } },
        }),
      ),
    onSuccess: (_, id) => {
      notify("The version was deleted.");
      setDoomed(null);
      void refresh();
      if (detail.versions.length === 1) navigate("/data");
      else if (id === current) navigate(`/data/${encodeURIComponent(id.split("@")[0] ?? "")}`);
    },
    onError: (error) => notifyError("The version was not deleted", error),
  });
  const again = useMutation({
    mutationFn: (options: ReadOptions) =>
      unwrap(
        http.POST("/api/v1/datasets/{dataset_id}/import", {
          params: { path: { dataset_id: current } },
          body: options,
        }),
      ),
    onSuccess: () => {
      setReading(false);
      void refresh();
    },
    onError: (error) => notifyError("The import was not started", error),
  });
  return (
    <Panel
      title="Versions"
      note="A version never changes. A run keeps the version that it was launched with."
      actions={
        isReading || detail.profile?.origin ? null : (
          <Button size="xs" variant="default" onClick={() => setReading(true)}>
            Import again with other options
          </Button>
        )
      }
    >
      <Stack gap="sm">
        {isReading ? (
          <ReadOptionsForm
            options={detail.profile?.options ?? { format: null, encoding: null, separator: null }}
            isBusy={again.isPending}
            onSubmit={(options) => again.mutate(options)}
            onCancel={() => setReading(false)}
          />
        ) : null}
        <Table.ScrollContainer minWidth={0} type="native">
          <Table fz="sm" verticalSpacing={6} aria-label="Versions" className="versions">
            <Table.Tbody>
              {detail.versions.map((one) => (
                <Table.Tr key={one.id}>
                  <Table.Td>
                    {one.id === current ? (
                      <Text size="sm" fw={600}>
                        Version {one.version}
                      </Text>
                    ) : (
                      <Anchor component={Link} size="sm" to={`/data/${encodeURIComponent(one.id)}`}>
                        Version {one.version}
                      </Anchor>
                    )}
                  </Table.Td>
                  <Table.Td>{one.problem ?? (one.created_at ? dateTime(one.created_at) : "")}</Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {count(one.rows)} rows
                  </Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {bytes(one.size_bytes)}
                  </Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {one.runs ? plural(one.runs, "run") : "no runs"}
                  </Table.Td>
                  <Table.Td ta="right">
                    <Button size="compact-xs" variant="default" onClick={() => setDoomed(one)}>
                      Delete
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Stack>
      <Confirm
        opened={doomed !== null}
        title={`Delete version ${doomed?.version}?`}
        action="Delete"
        isBusy={remove.isPending}
        onConfirm={() => doomed && remove.mutate(doomed.id)}
        onClose={() => setDoomed(null)}
      >
        <Group>
          {doomed?.runs
            ? `${plural(doomed.runs, "run")} used it. Without it, they can't be resumed or forked.`
            : "No run used it. Its rows and the uploaded file are deleted permanently."}
        </Group>
      </Confirm>
    </Panel>
  );
}
