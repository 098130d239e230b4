import { Alert, Button, Group, Text } from "@mantine/core";
import { ApiError } from "@/api/client";

interface RestoredAlertProps {
  onDiscard: () => void;
  onClose: () => void;
}

export function RestoredAlert({ onDiscard, onClose }: RestoredAlertProps) {
  return (
    <Alert
      color="blue"
      variant="light"
      py="xs"
      title="Your unsaved changes are back"
      withCloseButton
      closeButtonLabel="Dismiss"
      onClose={onClose}
      data-testid="restored"
    >
      <Group gap="sm">
        <Text size="sm">You left this page before you launched or saved them.</Text>
        <Button size="compact-xs" variant="default" onClick={onDiscard}>
          Discard them
        </Button>
      </Group>
    </Alert>
  );
}

interface BrokenYamlAlertProps {
  error: string;
  /** Opens the YAML; omitted where it is already open. */
  onFix?: () => void;
  onDiscard: () => void;
}

export function BrokenYamlAlert({ error, onFix, onDiscard }: BrokenYamlAlertProps) {
  return (
    <Alert
      color="red"
      variant="light"
      role="alert"
      title="The YAML is not valid yet"
      data-testid="broken-yaml"
    >
      <Text size="sm">{error}</Text>
      <Group gap="xs" mt="xs">
        {onFix ? (
          <Button size="compact-sm" variant="default" onClick={onFix}>
            Fix the YAML
          </Button>
        ) : null}
        <Button size="compact-sm" variant="default" color="red" onClick={onDiscard}>
          Discard the YAML edit
        </Button>
      </Group>
    </Alert>
  );
}

interface RefusalAlertProps {
  /** Problems that don't belong to a field of the form. */
  sentences: readonly string[];
  /** An error that is not about a field; null if there is none. */
  error: Error | null;
  onCheckAgain: () => void;
}

export function RefusalAlert({ sentences, error, onCheckAgain }: RefusalAlertProps) {
  return (
    <Alert color="red" variant="light" role="alert" title="This configuration can't run yet">
      {sentences.map((sentence) => (
        <Text size="sm" key={sentence}>
          {sentence}
        </Text>
      ))}
      {error ? (
        <Group gap="xs">
          <Text size="sm">
            {error.message} {error instanceof ApiError ? error.nextStep : ""}
          </Text>
          <Button size="compact-xs" variant="default" onClick={onCheckAgain}>
            Check again
          </Button>
        </Group>
      ) : null}
    </Alert>
  );
}
