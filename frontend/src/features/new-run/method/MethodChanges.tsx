import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { useMethod } from "@/components/runs/methods";
import { configValue } from "@/components/text/format";
import type { MethodNotice } from "./use-method-switch";

interface MethodChangesProps {
  notice: MethodNotice;
  /** Method key -> its title. */
  titleOf: (name: string) => string;
  fieldTitleOf: (path: string) => string;
  onKeep: (field: string, value: unknown) => void;
  onClose: () => void;
}

const said = (value: unknown): string =>
  value === null || value === undefined
    ? "not set"
    : Array.isArray(value)
      ? `${value.length} ${value.length === 1 ? "entry" : "entries"}`
      : typeof value === "object"
        ? "set"
        : configValue(value);

/** What choosing another method kept and changed; each change can be undone. */
export function MethodChanges({ notice, titleOf, fieldTitleOf, onKeep, onClose }: MethodChangesProps) {
  const { has_ranks: hasRanks } = useMethod(notice.to);
  return (
    <Alert
      color="blue"
      variant="light"
      py="xs"
      role="status"
      withCloseButton
      closeButtonLabel="Dismiss"
      onClose={onClose}
      title={`Switched from ${titleOf(notice.from)} to ${titleOf(notice.to)}`}
      data-testid="method-changes"
    >
      <Stack gap={6}>
        {notice.budget !== null && hasRanks ? (
          <Text size="sm">Budget kept: mean rank {Number(notice.budget.toFixed(2))}.</Text>
        ) : null}
        {notice.changes.map((change) => (
          <Group key={change.field} gap="xs" justify="space-between" wrap="nowrap" align="flex-start">
            <Text size="sm">
              <b>{fieldTitleOf(change.field)}</b>: {said(change.before)} → {said(change.after)}.{" "}
              {change.reason}
            </Text>
            {change.field === "steering" ? null : (
              <Button
                size="compact-xs"
                variant="default"
                style={{ flexShrink: 0 }}
                onClick={() => onKeep(change.field, change.before)}
              >
                Keep {said(change.before)}
              </Button>
            )}
          </Group>
        ))}
        {notice.changes.length === 0 ? (
          <Text size="sm">Learning rate and schedule stay as they are.</Text>
        ) : null}
      </Stack>
    </Alert>
  );
}
