import { useQuery } from "@tanstack/react-query";
import { Panel } from "@/components/layout/Panel";
import { RunTree } from "@/components/runs/tree/RunTree";
import { treeQuery } from "./queries";

/** The run with its ancestors and forks; nothing if there are none. */
export function TreePanel({ id }: { id: string }) {
  const tree = useQuery(treeQuery(id)).data ?? [];
  if (tree.length < 2) return null;
  return (
    <Panel title="Forks" note="Each run starts from a checkpoint of the run above it.">
      <RunTree runs={tree} here={id} />
    </Panel>
  );
}
