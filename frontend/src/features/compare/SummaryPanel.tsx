import { Group, Table } from "@mantine/core";
import { Link } from "react-router";
import type { RunSummary } from "@/api/types";
import { colourOf, useLook } from "@/charts/plot/look";
import { Panel } from "@/components/layout/Panel";
import { MethodName } from "@/components/runs/MethodName";
import { stateOf } from "@/components/runs/run-state";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { sharedHeadline } from "@/components/runs/tasks";
import { count, metric, missing, shortCount } from "@/components/text/format";

/** One row per run. The best value among runs with the same headline metric is bold. */
export function SummaryPanel({ runs }: { runs: RunSummary[] }) {
  const look = useLook();
  const bestOf = ({ headline: { name, lower_is_better } }: RunSummary) => {
    const values = runs
      .filter((run) => run.headline.name === name)
      .map((run) => run.headline.best)
      .filter((value) => typeof value === "number");
    return lower_is_better ? Math.min(...values) : Math.max(...values);
  };
  return (
    <Panel title="Summary">
      <Table.ScrollContainer minWidth={1000}>
        <Table style={{ whiteSpace: "nowrap" }}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Run</Table.Th>
              <Table.Th>Status</Table.Th>
              <Table.Th>Method</Table.Th>
              <Table.Th ta="right">Best {sharedHeadline(runs)}</Table.Th>
              <Table.Th ta="right">at step</Table.Th>
              <Table.Th ta="right">Last</Table.Th>
              <Table.Th ta="right">Steps</Table.Th>
              <Table.Th ta="right">Live</Table.Th>
              <Table.Th ta="right">Mean rank</Table.Th>
              <Table.Th ta="right">Trained</Table.Th>
              <Table.Th ta="right">Kept</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody className="numbers">
            {runs.map((run, index) => {
              const { headline } = run;
              return (
                <Table.Tr key={run.id}>
                  <Table.Td miw={200} style={{ whiteSpace: "normal" }}>
                    <Group gap={8} wrap="nowrap">
                      <span
                        className="dot"
                        style={{ background: colourOf(look, index), flexShrink: 0 }}
                        aria-hidden
                      />
                      <Link to={`/runs/${run.id}`} className="plain-link">
                        {run.name}
                      </Link>
                    </Group>
                  </Table.Td>
                  <Table.Td miw={100}>
                    <StatusBadge state={stateOf(run)} />
                  </Table.Td>
                  <Table.Td>
                    <MethodName name={run.method} />
                  </Table.Td>
                  <Table.Td
                    ta="right"
                    fw={headline.best !== null && headline.best === bestOf(run) ? 700 : 400}
                  >
                    {metric(headline.best)}
                  </Table.Td>
                  <Table.Td ta="right">{count(headline.best_step)}</Table.Td>
                  <Table.Td ta="right">{metric(headline.last)}</Table.Td>
                  <Table.Td ta="right">
                    {count(run.step)} / {count(run.total_steps)}
                  </Table.Td>
                  <Table.Td ta="right">{count(run.live)}</Table.Td>
                  <Table.Td ta="right">
                    {run.mean_rank === null ? missing : run.mean_rank.toFixed(2)}
                  </Table.Td>
                  <Table.Td ta="right">{shortCount(run.trained_parameters)}</Table.Td>
                  <Table.Td ta="right">{shortCount(run.kept_parameters)}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Panel>
  );
}
