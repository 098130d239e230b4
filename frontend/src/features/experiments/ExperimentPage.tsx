import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useParams, useSearchParams } from "react-router";
import { ErrorState } from "@/components/feedback/states";
import { TrialsPage } from "@/components/trials/TrialsPage";
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
  const select = (next: Selection) => setParams(paramsOf(next), { replace: true });
  return (
    <TrialsPage noun="experiment" query={experiment}>
      {(found) => (
        <>
          <ExperimentHeader experiment={found} selection={selection} />
          <ExperimentState experiment={found} />
          <SelectionBar experiment={found} selection={selection} onChange={select} />
          {answer.error ? (
            <ErrorState
              error={answer.error}
              title="The answer could not be computed"
              onRetry={() => void answer.refetch()}
            />
          ) : answer.data ? (
            <AnswerPanels
              answer={answer.data}
              experiment={found}
              selection={selection}
              isOld={answer.isPlaceholderData}
            />
          ) : (
            <Computing />
          )}
        </>
      )}
    </TrialsPage>
  );
}
