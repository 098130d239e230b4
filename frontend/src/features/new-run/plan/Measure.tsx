import { Alert, Button, Group, Loader, Stack, Text } from "@mantine/core";
import { IconStopwatch } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { ApiError } from "@/api/client";
import type { ConfigDraft } from "@/api/types";
import { ApiText } from "@/components/text/ApiText";
import { share } from "@/components/text/format";
import { useProbe } from "./use-probe";

interface MeasureProps {
  draft: ConfigDraft;
  /** Whether the plan has the time of this configuration already. */
  isKnown: boolean;
  /** Whether the configuration can run. */
  isValid: boolean;
}

/** Trains a few steps of the configuration, for the time that it takes and its memory. */
export function Measure({ draft, isKnown, isValid }: MeasureProps) {
  const { start, cancel, isBusy, answer, error } = useProbe();
  const button = useRef<HTMLButtonElement>(null);
  const hasFocus = useRef(false);
  // Measure and Cancel replace each other: the one that appears gets the other's focus.
  useEffect(() => {
    if (hasFocus.current) button.current?.focus({ preventScroll: true });
  }, [isBusy]);
  const focus = {
    ref: button,
    onFocus: () => {
      hasFocus.current = true;
    },
    // React does not report the blur of a button that it removes.
    onBlur: () => {
      hasFocus.current = false;
    },
  };
  if (isBusy) {
    const progress = answer?.progress ? ` ${share(answer.progress)}` : "";
    return (
      <Group gap="xs" role="status">
        <Loader size={14} />
        <Text size="xs" c="dimmed" className="numbers">
          <ApiText>{[`${answer?.message ?? "Waiting for a worker."}${progress}`, answer?.next_step]}</ApiText>
        </Text>
        <Button
          {...focus}
          size="compact-xs"
          variant="subtle"
          color="gray"
          onClick={() => answer && cancel()}
          data-disabled={!answer || undefined}
          aria-disabled={!answer}
        >
          Cancel
        </Button>
      </Group>
    );
  }
  if (isKnown) return null;
  return (
    <Stack gap={6} align="flex-start">
      {error ? (
        <Alert
          color={error instanceof ApiError && error.status === 409 ? "yellow" : "red"}
          variant="light"
          py="xs"
          title={error.message}
          role="alert"
        >
          <ApiText>{[error instanceof ApiError ? error.nextStep : null]}</ApiText>
        </Alert>
      ) : answer?.status === "failed" ? (
        <Alert color="red" variant="light" py="xs" title={answer.message ?? "The measurement failed."}>
          <ApiText>{[answer.next_step]}</ApiText>
        </Alert>
      ) : null}
      <Button
        {...focus}
        size="compact-xs"
        variant="default"
        leftSection={<IconStopwatch size={14} />}
        onClick={() => start(draft)}
        disabled={!isValid}
        title="A worker trains a few steps in a free slot to measure the time per step and the peak memory. Nothing else is kept."
        data-testid="measure"
      >
        Measure
      </Button>
    </Stack>
  );
}
