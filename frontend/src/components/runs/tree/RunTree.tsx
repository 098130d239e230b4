import { Group, Stack, Text } from "@mantine/core";
import { Link } from "react-router";
import type { Relative } from "@/api/types";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { count, metric } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { treeLines } from "./tree";

interface RunTreeProps {
  runs: readonly Relative[];
  /** The run whose page this is: not a link. */
  here?: string;
  /** Runs in bold. */
  marked?: readonly string[];
}

/** Runs as a tree: each below the run that it was forked from, with its number of resumes. */
export function RunTree({ runs, here, marked = [] }: RunTreeProps) {
  return (
    <Stack gap={6} component="ul" m={0} pl={0} style={{ listStyle: "none" }} data-testid="run-tree">
      {treeLines(runs).map(({ run, depth }) => (
        <Group component="li" key={run.id} gap={8} wrap="nowrap" pl={depth * 18}>
          <StatusBadge state={{ status: run.status, phase: null, attempt: 1 }} />
          {run.id === here ? (
            <Text size="sm" fw={700} className="clip" aria-current="page">
              {run.name}
            </Text>
          ) : (
            <Link
              to={`/runs/${run.id}`}
              className="plain-link clip"
              style={{ fontSize: 14, fontWeight: marked.includes(run.id) ? 700 : 400 }}
            >
              {run.name}
            </Link>
          )}
          <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
            {run.parent_step === null ? "" : `from step ${count(run.parent_step)} · `}
            {run.attempt > 1 ? `${plural(run.attempt - 1, "resume")} · ` : ""}
            {run.headline.title} {metric(run.headline.best)}
          </Text>
        </Group>
      ))}
    </Stack>
  );
}
