import { ActionIcon, Badge, Group, Progress, Text, Tooltip } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { ModelDownload } from "@/api/types";
import { ApiText } from "@/components/text/ApiText";

const states: Record<ModelDownload["status"], string> = {
  waiting: "Waiting for a worker",
  running: "Downloading",
  done: "Done",
  failed: "Failed",
};

export type DownloadState = Pick<
  ModelDownload,
  "hub_id" | "revision" | "commit" | "status" | "progress" | "message" | "next_step"
>;

/** A download from the hub that waits, runs or has ended. */
export function DownloadLine({
  download,
  children,
  onCancel,
}: {
  download: DownloadState;
  /** Shown next to the name. */
  children?: ReactNode;
  onCancel: () => void;
}) {
  const isActive = download.status === "waiting" || download.status === "running";
  const percent = Math.floor((download.progress ?? 0) * 100);
  const state = download.status === "running" ? `Downloading, ${percent} %` : states[download.status];
  const what = isActive ? "Cancel the download of" : "Remove from the list:";
  return (
    <li data-download={download.hub_id}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {download.hub_id} {children}{" "}
          <Text span c="dimmed" size="xs">
            {download.commit ? download.commit.slice(0, 8) : download.revision}
          </Text>
        </Text>
        <Group gap={6} wrap="nowrap">
          {download.status === "failed" ? (
            <Badge color="red" variant="light" radius="sm" tt="none">
              {state}
            </Badge>
          ) : (
            <Text size="sm" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
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
          <ApiText>{[download.message, download.next_step]}</ApiText>
        </Text>
      ) : null}
    </li>
  );
}
