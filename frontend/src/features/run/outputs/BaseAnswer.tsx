import { Button, Modal, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { RunDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Guesses } from "./Guesses";
import { type Input, usePredictions } from "./use-predictions";

/** A button that compares the base model with the fine-tuned one for an evaluation row. */
export function BaseAnswer({ run, inputs }: { run: RunDetail; inputs: Input }) {
  const [isOpen, { open, close }] = useDisclosure(false);
  const { ask, answer, isBusy } = usePredictions(run.id);
  // A truncated text is not the row's text.
  if (Object.values(inputs).some((text) => text.endsWith("…"))) return null;
  const [item] = answer.data?.items ?? [];
  const error = ask.error ?? answer.error;
  const message = [answer.data?.message, answer.data?.next_step].filter(Boolean).join(" ");
  return (
    <>
      <Button
        size="compact-xs"
        variant="subtle"
        mx={-7}
        h="auto"
        styles={{ label: { whiteSpace: "normal", textAlign: "left" } }}
        onClick={() => {
          open();
          if (!item && !isBusy) ask.mutate([inputs]);
        }}
      >
        Compare with base
      </Button>
      <Modal opened={isOpen} onClose={close} title="Base model and fine-tuned model" size="lg">
        {error ? (
          <ErrorState error={error} onRetry={() => ask.mutate([inputs])} />
        ) : item ? (
          <Guesses item={item} />
        ) : (
          <Text size="sm" role="status">
            {message || "Waiting for a worker"}
          </Text>
        )}
      </Modal>
    </>
  );
}
