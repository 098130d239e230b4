import { useQuery } from "@tanstack/react-query";
import { Panel } from "@/components/layout/Panel";
import { RunTree } from "@/components/runs/tree/RunTree";
import { forestQuery } from "./view/queries";

/** Which run started from which: forks and resumes. Nothing if no run was forked or resumed. */
export function ForestPanel({ runs }: { runs: string[] }) {
  const forest = useQuery(forestQuery(runs)).data ?? [];
  if (!forest.some((run) => run.parent_id !== null || run.attempt > 1)) return null;
  return (
    <Panel
      title="Forks and resumes"
      note="Each run starts from a checkpoint of the run above it. The compared runs are in bold."
    >
      <RunTree runs={forest} marked={runs} />
    </Panel>
  );
}
