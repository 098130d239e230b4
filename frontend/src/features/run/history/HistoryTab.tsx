import { Grid, ScrollArea, Select, Stack, Table, Text } from "@mantine/core";
import { useThrottledValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { RunDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { scrolledByKeys } from "@/components/layout/scroll";
import { useMethod } from "@/components/runs/methods";
import { dateTime, missing } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { TreePanel } from "@/features/run/lineage/TreePanel";
import type { LiveRun } from "@/features/run/live/live-run";
import type { TimelineEvent } from "@/features/run/live/timeline";
import { ledgerSentence } from "@/features/run/ranks/ledger-text";
import { ledgerQuery } from "./queries";
import { TimelinePanel } from "./TimelinePanel";

const mostLines = 500;
const ledgerMs = 20_000;

/** Component ledger, timeline, forks and attempts of a run. */
interface HistoryTabProps {
  run: RunDetail;
  live: LiveRun;
  timeline: { events: TimelineEvent[]; readTo: number | null };
}

export default function HistoryTab({ run, live, timeline }: HistoryTabProps) {
  const { prunes } = useMethod(run.method);
  const [module, setModule] = useState<string | null>(null);
  const ledger = useQuery({
    ...ledgerQuery(run.id, useThrottledValue(live.prunings, ledgerMs)),
    placeholderData: (previous) => previous,
    enabled: prunes,
  });
  const lines = (ledger.data?.items ?? []).filter(
    (line) => module === null || line.module === Number(module),
  );
  const shown = lines.slice(-mostLines).reverse();
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, lg: 7 }}>
        <Panel
          title="Component ledger"
          note={
            !prunes
              ? "This method does not prune."
              : lines.length === 0
                ? "Nothing has been pruned yet."
                : `${plural(module === null ? (ledger.data?.total ?? 0) : lines.length, "change")}, newest first${lines.length > mostLines ? `; only the newest ${mostLines} are shown` : ""}.`
          }
          actions={
            live.modules.length && prunes ? (
              <Select
                size="xs"
                aria-label="Module"
                placeholder="All modules"
                clearable
                searchable
                value={module}
                onChange={setModule}
                data={live.modules.map((one, index) => ({ value: String(index), label: one.name }))}
                w={{ base: 200, sm: 320 }}
              />
            ) : undefined
          }
        >
          {ledger.error ? <ErrorState error={ledger.error} onRetry={() => void ledger.refetch()} /> : null}
          <ScrollArea.Autosize mah="64vh" viewportProps={scrolledByKeys}>
            <Stack gap={6} component="ul" m={0} pl={0} style={{ listStyle: "none" }}>
              {shown.map((line) => (
                <Text
                  component="li"
                  size="sm"
                  className="numbers"
                  key={`${line.seq}-${line.module}-${line.component}`}
                  style={{ overflowWrap: "anywhere" }}
                >
                  {ledgerSentence(line)}
                </Text>
              ))}
            </Stack>
          </ScrollArea.Autosize>
        </Panel>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 5 }}>
        <Stack gap="md">
          <TimelinePanel {...timeline} />
          <TreePanel id={run.id} />
          <Panel title="Attempts" note="Each time a run is resumed or retried, a new attempt starts.">
            <Table.ScrollContainer minWidth={360} type="native" tabIndex={0}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>No.</Table.Th>
                    <Table.Th>Worker</Table.Th>
                    <Table.Th>Started</Table.Th>
                    <Table.Th ta="right">From step</Table.Th>
                    <Table.Th>Outcome</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {run.attempts.map((attempt) => (
                    <Table.Tr key={attempt.number}>
                      <Table.Td className="numbers">{attempt.number}</Table.Td>
                      <Table.Td>{attempt.worker}</Table.Td>
                      <Table.Td className="numbers">{dateTime(attempt.started_at)}</Table.Td>
                      <Table.Td ta="right" className="numbers">
                        {attempt.start_step ?? missing}
                      </Table.Td>
                      <Table.Td>{attempt.outcome_title ?? missing}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          </Panel>
        </Stack>
      </Grid.Col>
    </Grid>
  );
}
