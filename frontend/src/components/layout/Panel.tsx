import { Box, Group, Paper, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

interface PanelProps {
  title: string;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  order?: 2 | 3;
}

/** A titled card. */
export function Panel({ title, note, actions, children, order = 2 }: PanelProps) {
  return (
    <Paper component="section" withBorder p="md" radius="md">
      <Group justify="space-between" align="center" gap="xs" mb={note ? 2 : "xs"} mih={28}>
        <Title order={order} size="h5">
          {title}
        </Title>
        {actions}
      </Group>
      {note ? (
        <Text c="dimmed" size="xs" mb="xs">
          {note}
        </Text>
      ) : null}
      <Box>{children}</Box>
    </Paper>
  );
}
