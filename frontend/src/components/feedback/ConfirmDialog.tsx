import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { useFocusReturn } from "./use-focus-return";

export interface ConfirmProps {
  opened: boolean;
  title: string;
  children: ReactNode;
  action: string;
  isBusy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks for confirmation before something is lost. The cancel button has the focus. */
export function ConfirmDialog({
  opened,
  title,
  children,
  action,
  isBusy = false,
  onConfirm,
  onClose,
}: ConfirmProps) {
  useFocusReturn(opened);
  return (
    <Modal opened={opened} onClose={onClose} title={title} centered>
      <Stack gap="md">
        <Text size="sm" component="div">
          {children}
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button color="red" loading={isBusy} onClick={onConfirm}>
            {action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
