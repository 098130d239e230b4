import { Alert, Button, Group, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconRefresh } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { ApiError } from "@/api/client";
import { ApiText } from "@/components/text/ApiText";

interface ErrorStateProps {
  error: Error;
  title?: string;
  onRetry?: () => void;
}

/** The API's error message and next step. */
export function ErrorState({ error, title = "Could not load", onRetry }: ErrorStateProps) {
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={title} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          <ApiText>{error.message}</ApiText>
        </Text>
        {error instanceof ApiError && error.nextStep ? (
          <Text size="sm">
            <ApiText>{error.nextStep}</ApiText>
          </Text>
        ) : null}
        {onRetry ? (
          <Button size="xs" variant="default" leftSection={<IconRefresh size={14} />} onClick={onRetry}>
            Try again
          </Button>
        ) : null}
      </Stack>
    </Alert>
  );
}

export function EmptyState({
  title,
  children,
  action,
}: {
  title: string;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <Stack align="center" gap="sm" py={56} px="md">
      <Title order={2} size="h4" ta="center">
        {title}
      </Title>
      <Text c="dimmed" size="sm" maw={440} ta="center">
        {children}
      </Text>
      {action ? <Group>{action}</Group> : null}
    </Stack>
  );
}
