import { Alert, Button, Group, Loader, Paper, Progress, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { http, unwrap } from "@/api/client";
import type { DataUpload, ReadOptions } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import { ApiText } from "@/components/text/ApiText";
import { bytes } from "@/components/text/format";
import { importsQuery } from "./queries";
import { ReadOptionsForm } from "./ReadOptionsForm";

/** The imports that run or wait, and failed ones with the reason. */
export function ImportList({ setId }: { setId?: string }) {
  const client = useQueryClient();
  const { data } = useQuery(importsQuery);
  const uploads = (data ?? []).filter((upload) => setId === undefined || upload.set_id === setId);
  const before = useRef(0);
  const number = data?.length ?? 0;
  useEffect(() => {
    // One has ended: there may be a new data set or version.
    if (number < before.current) void client.invalidateQueries({ queryKey: ["datasets"] });
    before.current = number;
  }, [number, client]);
  return uploads.length === 0 ? null : (
    <Stack gap="xs" aria-label="Imports">
      {uploads.map((upload) => (
        <ImportCard key={upload.id} upload={upload} />
      ))}
    </Stack>
  );
}

function ImportCard({ upload }: { upload: DataUpload }) {
  const client = useQueryClient();
  const [isEditing, setEditing] = useState(false);
  const again = () => client.invalidateQueries({ queryKey: importsQuery.queryKey });
  const remove = useMutation({
    mutationFn: () =>
      unwrap(
        http.DELETE("/api/v1/datasets/uploads/{upload_id}", { params: { path: { upload_id: upload.id } } }),
      ),
    onError: (error) => notifyError("The upload was not removed", error),
    onSettled: again,
  });
  const retry = useMutation({
    mutationFn: (options: ReadOptions) =>
      unwrap(
        http.POST("/api/v1/datasets/uploads/{upload_id}/import", {
          params: { path: { upload_id: upload.id } },
          body: options,
        }),
      ),
    onSuccess: () => setEditing(false),
    onError: (error) => notifyError("The import was not started", error),
    onSettled: again,
  });
  if (upload.status === "failed") {
    return (
      <Alert
        color="red"
        variant="light"
        title={`${upload.name} was not imported`}
        data-testid="failed-import"
      >
        <Stack gap="xs" align="flex-start">
          <Text size="sm">
            <ApiText>{[upload.message, upload.next_step]}</ApiText>
          </Text>
          {isEditing ? (
            <ReadOptionsForm
              options={upload.options}
              isBusy={retry.isPending}
              onSubmit={(options) => retry.mutate(options)}
              onCancel={() => setEditing(false)}
            />
          ) : (
            <Group gap="xs">
              <Button size="xs" variant="default" onClick={() => setEditing(true)}>
                Import with other options
              </Button>
              <Button size="xs" variant="default" loading={remove.isPending} onClick={() => remove.mutate()}>
                Remove
              </Button>
            </Group>
          )}
        </Stack>
      </Alert>
    );
  }
  return (
    <Paper withBorder radius="md" p="sm" data-testid="running-import">
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Group gap="xs" wrap="nowrap" style={{ minWidth: 0 }}>
          <Loader size={14} />
          <Text size="sm" truncate>
            {upload.is_new_set ? (
              upload.name
            ) : (
              <Link to={`/data/imported:${upload.set_id}`}>{upload.name}, new version</Link>
            )}
            {": "}
            {upload.status === "waiting" ? (upload.message ?? "Waiting for a worker.") : "importing"}
          </Text>
        </Group>
        <Group gap="xs" wrap="nowrap">
          <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
            {bytes(upload.size_bytes)}
          </Text>
          <Button
            size="compact-xs"
            variant="default"
            loading={remove.isPending}
            onClick={() => remove.mutate()}
          >
            Cancel
          </Button>
        </Group>
      </Group>
      <Progress value={100 * (upload.progress ?? 0)} mt={6} aria-label={`Import of ${upload.name}`} />
    </Paper>
  );
}
