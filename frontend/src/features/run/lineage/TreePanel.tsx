import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Relative } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { count, metric } from "@/components/text/format";
import { treeQuery } from "./queries";
import { treeLines } from "./tree";

/** The run with its ancestors and forks; nothing if there are none. */
export function TreePanel({ id }: { id: string }) {
  const tree = useQuery(treeQuery(id));
  const lines = treeLines(tree.data ?? []);
  if (lines.length < 2) return null;
  return (
    <Panel title="Forks" note="Each run starts from a checkpoint of the run above it.">
      <Stack gap={6} component="ul" m={0} pl={0} style={{ listStyle: "none" }} data-testid="run-tree">
        {lines.map(({ run, depth }) => (
          <Group component="li" key={run.id} gap={8} wrap="nowrap" pl={depth * 18}>
            <Line run={run} isHere={run.id === id} />
          </Group>
        ))}
      </Stack>
    </Panel>
  );
}

function Line({ run, isHere }: { run: Relative; isHere: boolean }) {
  return (
    <>
      <StatusBadge state={{ status: run.status, phase: null, attempt: 1 }} />
      {isHere ? (
        <Text size="sm" fw={700} className="clip" aria-current="page">
          {run.name}
        </Text>
      ) : (
        <Link to={`/runs/${run.id}`} className="plain-link clip" style={{ fontSize: 14 }}>
          {run.name}
        </Link>
      )}
      <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
        {run.parent_step === null ? "" : `from step ${count(run.parent_step)} · `}
        {run.headline.title} {metric(run.headline.best)}
      </Text>
    </>
  );
}
