import { Button, FileButton, Group, Paper, Progress, Stack, Text } from "@mantine/core";
import { IconUpload } from "@tabler/icons-react";
import { useState } from "react";
import { bytes } from "@/components/text/format";
import "./data.css";
import { useUploads } from "./use-uploads";

/** Takes files by drag and drop or from a dialog, and shows how much of them has been sent. */
export function DropZone({ datasetId, children }: { datasetId: string | null; children: string }) {
  const { sending, send } = useUploads(datasetId);
  const [isOver, setOver] = useState(false);
  return (
    <Stack gap="xs">
      <Paper
        withBorder
        radius="md"
        p="md"
        className={isOver ? "drop-zone is-over" : "drop-zone"}
        data-testid="drop-zone"
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          send(event.dataTransfer.files);
        }}
      >
        <Group justify="space-between" gap="sm">
          <div>
            <Text size="sm" fw={600}>
              {children}
            </Text>
            <Text size="xs" c="dimmed">
              CSV, TSV, JSON lines, a JSON list or Parquet, also with .gz, up to 2 GB. Nothing leaves this
              installation.
            </Text>
          </div>
          <FileButton onChange={(files) => send(files)} multiple>
            {(props) => (
              <Button {...props} variant="default" leftSection={<IconUpload size={16} />}>
                Choose files
              </Button>
            )}
          </FileButton>
        </Group>
      </Paper>
      {sending.map((one) => (
        <Paper key={one.key} withBorder radius="md" p="sm">
          <Group justify="space-between" gap="xs" wrap="nowrap">
            <Text size="sm" truncate>
              Uploading {one.name}
            </Text>
            <Group gap="xs" wrap="nowrap">
              <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
                {bytes(one.share * one.size)} of {bytes(one.size)}
              </Text>
              <Button size="compact-xs" variant="default" onClick={one.cancel}>
                Cancel
              </Button>
            </Group>
          </Group>
          <Progress value={100 * one.share} mt={6} aria-label={`Upload of ${one.name}`} />
        </Paper>
      ))}
    </Stack>
  );
}
