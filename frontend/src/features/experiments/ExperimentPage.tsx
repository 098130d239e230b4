import { Button, Container, Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { answerQuery, experimentQuery } from "@/features/experiments/view/queries";
import { paramsOf, type Selection, selectionOf } from "@/features/experiments/view/selection";
import { AnswerPanels, Computing } from "./answer/AnswerPanels";
import { ExperimentHeader } from "./ExperimentHeader";
import { ExperimentState } from "./ExperimentState";
import { SelectionBar } from "./SelectionBar";
import "./experiments.css";

/** One experiment: the conclusion first, then the reasons, then the numbers. */
export function ExperimentPage() {
  const { id = "" } = useParams();
  const [params, setParams] = useSearchParams();
  const selection = useMemo(() => selectionOf(params), [params]);
  const experiment = useQuery(experimentQuery(id));
  const answer = useQuery(answerQuery(id, experiment.data?.revision, selection));
  useTitle(experiment.data?.name ?? "Experiment");
  const select = (next: Selection) => setParams(paramsOf(next), { replace: true });
  return (
    <Container size="xl" px={{ base: "sm", sm: "lg" }} py="md">
      {experiment.data ? (
        <Stack gap="md">
          <ExperimentHeader experiment={experiment.data} selection={selection} />
          <ExperimentState experiment={experiment.data} />
          <SelectionBar experiment={experiment.data} selection={selection} onChange={select} />
          {answer.error ? (
            <ErrorState
              error={answer.error}
              title="The answer could not be computed"
              onRetry={() => void answer.refetch()}
            />
          ) : answer.data ? (
            <AnswerPanels
              answer={answer.data}
              experiment={experiment.data}
              selection={selection}
              isOld={answer.isPlaceholderData}
            />
          ) : (
            <Computing />
          )}
        </Stack>
      ) : experiment.error ? (
        <Stack gap="md" align="flex-start">
          <ErrorState
            error={experiment.error}
            title="This experiment can't be shown"
            onRetry={() => void experiment.refetch()}
          />
          <Button component={Link} to="/experiments" variant="default">
            All experiments
          </Button>
        </Stack>
      ) : (
        <Stack gap="md" aria-label="Loading" aria-busy>
          <Skeleton height={60} />
          <Skeleton height={260} />
        </Stack>
      )}
    </Container>
  );
}
