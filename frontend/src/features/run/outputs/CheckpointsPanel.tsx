import { ActionIcon, Badge, Table, Text, Tooltip } from "@mantine/core";
import { IconArrowFork } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { RunDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { useServerNow } from "@/components/server/use-server-now";
import { age, bytes, count, dateTime } from "@/components/text/format";
import { ForkDialog } from "@/features/run/actions/ForkDialog";
import { checkpointsQuery } from "@/features/run/actions/queries";

/** Checkpoints that the run can be resumed or forked from. */
export function CheckpointsPanel({ run }: { run: RunDetail }) {
  const checkpoints = useQuery(checkpointsQuery(run.id));
  const [forking, setForking] = useState<number | null>(null);
  const now = useServerNow(10_000);
  const rows = [...(checkpoints.data ?? [])].reverse();
  return (
    <Panel
      title="Checkpoints"
      note={`The newest ${run.config.training.keep_checkpoints ?? 2}${run.config.training.keep_best ? " and the best" : ""} are kept.`}
    >
      {checkpoints.error ? (
        <ErrorState error={checkpoints.error} onRetry={() => void checkpoints.refetch()} />
      ) : null}
      {checkpoints.data && rows.length === 0 ? (
        <Text size="sm" c="dimmed">
          None yet.
        </Text>
      ) : (
        <Table data-testid="checkpoints" horizontalSpacing={6} style={{ whiteSpace: "nowrap" }}>
          <Table.Tbody>
            {rows.map((one) => (
              <Table.Tr key={`${one.attempt}-${one.step}`}>
                <Table.Td className="numbers">
                  step {count(one.step)}{" "}
                  {one.is_best ? (
                    <Badge size="xs" variant="light" color="teal" tt="none">
                      best
                    </Badge>
                  ) : null}
                </Table.Td>
                <Table.Td className="numbers" visibleFrom="xs">
                  {one.attempt === 0 ? "from the parent" : `attempt ${one.attempt}`}
                </Table.Td>
                <Table.Td className="numbers" ta="right">
                  {bytes(one.size_bytes)}
                </Table.Td>
                <Table.Td className="numbers" ta="right" title={dateTime(one.created_at)}>
                  {age(one.created_at, now)}
                </Table.Td>
                <Table.Td ta="right" w={44}>
                  <Tooltip label={`Fork from step ${count(one.step)}`}>
                    <ActionIcon
                      variant="default"
                      aria-label={`Fork from step ${one.step}`}
                      onClick={() => setForking(one.step)}
                    >
                      <IconArrowFork size={15} />
                    </ActionIcon>
                  </Tooltip>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {forking === null ? null : <ForkDialog run={run} step={forking} onClose={() => setForking(null)} />}
    </Panel>
  );
}
