import { Alert, Anchor, Button, Group, Stack, Text } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Link } from "react-router";
import type { Preset } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import {
  dataDownloadsQuery,
  downloadData,
  downloadModel,
  isActive,
  modelDownloadsQuery,
} from "@/components/hub/downloads";

/** What a preset needs from the hub and is not installed, and a button that downloads it. */
export function PresetNeeds({ preset, onReady }: { preset: Preset; onReady: () => void }) {
  const client = useQueryClient();
  const { missing_model: model, missing_data: data } = preset;
  const models = useQuery(modelDownloadsQuery).data ?? [];
  const sets = useQuery(dataDownloadsQuery).data ?? [];
  // The newest is the first.
  const downloads = [
    model ? models.find((one) => one.hub_id === model.hub_id && one.revision === model.revision) : undefined,
    data
      ? sets.find(
          (one) =>
            one.hub_id === data.hub_id &&
            one.revision === data.revision &&
            one.subset === (data.subset ?? null),
        )
      : undefined,
  ].filter((one) => one !== undefined);
  const start = useMutation({
    mutationFn: () =>
      Promise.all([...(model ? [downloadModel(model)] : []), ...(data ? [downloadData(data)] : [])]),
    onError: (error) => notifyError("Could not start the download", error),
    onSettled: () =>
      Promise.all(
        [modelDownloadsQuery, dataDownloadsQuery].map(({ queryKey }) =>
          client.invalidateQueries({ queryKey }),
        ),
      ),
  });
  const isBusy = downloads.some(isActive) || start.isPending;
  const wasBusy = useRef(false);
  useEffect(() => {
    if (wasBusy.current && !isBusy) onReady();
    wasBusy.current = isBusy;
  }, [isBusy, onReady]);
  const names = [model ? `the model ${model.hub_id}` : "", data ? `the data set ${nameOf(data)}` : ""];
  return (
    <Alert color="blue" variant="light" title="From the hub" data-testid="preset-needs">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          {`This preset needs ${names.filter(Boolean).join(" and ")}. You can also choose others in the form.`}
        </Text>
        <Group gap="md">
          <Button
            size="xs"
            leftSection={<IconDownload size={15} />}
            loading={isBusy}
            onClick={() => start.mutate()}
          >
            Download
          </Button>
          {model ? (
            <Anchor component={Link} to="/models" size="sm">
              Models
            </Anchor>
          ) : null}
          {data ? (
            <Anchor component={Link} to="/data" size="sm">
              Data
            </Anchor>
          ) : null}
        </Group>
        {downloads.map((one) => (
          <Text key={one.hub_id} size="sm" role="status">
            {one.status === "running"
              ? `${one.hub_id}: downloading, ${Math.floor(100 * (one.progress ?? 0))} %`
              : one.status === "done"
                ? `${one.hub_id}: done`
                : `${one.hub_id}: ${[one.message ?? one.status, one.next_step].filter(Boolean).join(" ")}`}
          </Text>
        ))}
      </Stack>
    </Alert>
  );
}

const nameOf = ({ hub_id, subset }: NonNullable<Preset["missing_data"]>): string =>
  subset ? `${hub_id} (${subset})` : hub_id;
