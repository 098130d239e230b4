import { Alert, Group, Loader, Skeleton, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import type { Answer, ExperimentDetail } from "@/api/types";
import { unitOf } from "@/components/text/metric-unit";
import type { Selection } from "@/features/experiments/view/selection";
import { ChainsPanel } from "./ChainsPanel";
import { ChartPanel } from "./ChartPanel";
import { ProtocolPanel } from "./ProtocolPanel";
import { RanksPanel } from "./RanksPanel";
import { SentencesPanel } from "./SentencesPanel";
import { TablePanel } from "./TablePanel";

interface AnswerPanelsProps {
  answer: Answer;
  experiment: ExperimentDetail;
  selection: Selection;
  /** Whether a newer one is being computed. */
  isOld: boolean;
}

/** The conclusion of an experiment first, then the reasons, then the numbers. */
export function AnswerPanels({ answer, experiment, selection, isOld }: AnswerPanelsProps) {
  const unit = unitOf(experiment.design.metric);
  return (
    <Stack gap="md" className={isOld ? "is-old" : undefined} aria-busy={isOld}>
      {isOld ? (
        <Group gap="xs" role="status">
          <Loader size={14} />
          <Text size="sm" c="dimmed">
            Computing the answer for these comparisons…
          </Text>
        </Group>
      ) : null}
      <SentencesPanel answer={answer} unit={unit} />
      {answer.notes.length ? (
        <Stack gap={6}>
          {answer.notes.map((note) => (
            <Alert
              key={note.text}
              color={note.severity === "warning" ? "yellow" : "gray"}
              variant="light"
              py={8}
              icon={
                note.severity === "warning" ? <IconAlertTriangle size={16} /> : <IconInfoCircle size={16} />
              }
            >
              <Text size="sm">{note.text}</Text>
            </Alert>
          ))}
        </Stack>
      ) : null}
      <ChainsPanel answer={answer} experiment={experiment} />
      <ChartPanel answer={answer} experiment={experiment} />
      <RanksPanel answer={answer} experiment={experiment} />
      <TablePanel answer={answer} experiment={experiment} selection={selection} />
      <ProtocolPanel answer={answer} experiment={experiment} />
    </Stack>
  );
}

export const Computing = () => (
  <Stack gap="md" role="status" aria-busy>
    <Group gap="xs">
      <Loader size={16} />
      <Text size="sm" c="dimmed">
        Computing the answer. This takes some seconds, once.
      </Text>
    </Group>
    <Skeleton height={260} />
    <Skeleton height={320} />
  </Stack>
);
