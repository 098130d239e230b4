import { Button, Group, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";

/** Reports what was done, with a button that undoes it. */
export function notifyWithUndo(message: string, onUndo: () => void, label = "Undo") {
  const id = notifications.show({
    color: "teal",
    autoClose: 10_000,
    message: (
      <Group justify="space-between" wrap="nowrap">
        <Text size="sm">{message}</Text>
        <Button
          size="compact-xs"
          variant="light"
          style={{ flexShrink: 0 }}
          onClick={() => {
            notifications.hide(id);
            onUndo();
          }}
        >
          {label}
        </Button>
      </Group>
    ),
  });
}
