import { Anchor, Badge, Button, Group, Skeleton, Stack, Table, Text } from "@mantine/core";
import { IconTable } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { Link } from "react-router";
import type { SweepDetail, SweepPoint } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { TableMenu } from "@/components/files/TableMenu";
import { Panel } from "@/components/layout/Panel";
import { lazyPart } from "@/components/server/load-part";
import { count } from "@/components/text/format";
import { type Unit, unitOf, written } from "@/components/text/metric-unit";
import { leaderboardRows } from "./leaderboard-rows";
import { leaderboardQuery } from "./queries";
import { shortName, valueText } from "./sweep-text";

const TableDialog = lazyPart(
  () => import("./TableDialog"),
  (module) => module.TableDialog,
);

const firstRows = 25;
const mostRows = 1000;

interface LeaderboardPanelProps {
  sweep: SweepDetail;
  /** The point that is marked here and in the chart. */
  marked: number | null;
  onMark: (point: number | null) => void;
}

/** Points with mean, median, spread and range over their seeds, the best first. */
export function LeaderboardPanel({ sweep, marked, onMark }: LeaderboardPanelProps) {
  const client = useQueryClient();
  const [limit, setLimit] = useState(firstRows);
  const [table, setTable] = useState<"never" | "opened" | "closed">("never");
  const board = useQuery(leaderboardQuery(sweep.id, sweep.revision, limit));
  const unit = unitOf(sweep.metric);
  const items = board.data?.items ?? [];
  const total = board.data?.total ?? 0;
  const rest = total - items.length;
  return (
    <Panel
      title="Leaderboard"
      note={`${titled(sweep.metric.title)} at the end of each run, ${sweep.metric.lower_is_better ? "lower is better" : "higher is better"}${unit.factor === 100 ? "; in hundredths" : ""}. sd: standard deviation over the seeds.`}
      actions={
        items.length ? (
          <Group gap={4}>
            <Button
              size="compact-sm"
              variant="default"
              leftSection={<IconTable size={14} />}
              onClick={() => setTable("opened")}
            >
              Table for a paper
            </Button>
            <TableMenu
              label="Export leaderboard"
              file={`${sweep.name} leaderboard`}
              rows={async () => {
                const whole = await client.fetchQuery(leaderboardQuery(sweep.id, sweep.revision, mostRows));
                return leaderboardRows(whole.items, sweep.parameters);
              }}
            />
          </Group>
        ) : null
      }
    >
      {board.error && !board.data ? (
        <ErrorState error={board.error} onRetry={() => void board.refetch()} />
      ) : !board.data ? (
        <Skeleton height={180} aria-label="Loading" aria-busy />
      ) : items.length === 0 ? (
        <Text size="sm" c="dimmed">
          No point has been chosen yet.
        </Text>
      ) : (
        <Stack gap="xs">
          <Table.ScrollContainer minWidth={600 + 110 * sweep.parameters.length} type="native">
            <Table className="numbers" fz="sm" highlightOnHover verticalSpacing={5} data-testid="leaderboard">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th w={110}>Rank</Table.Th>
                  <Numbers titles={["Mean", "sd"]} />
                  {sweep.parameters.map((name) => (
                    <Table.Th key={name} title={name}>
                      {titled(shortName(name))}
                    </Table.Th>
                  ))}
                  <Numbers titles={["Median", "Min", "Max", "n"]} />
                  <Table.Th>Runs, by seed</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((point) => (
                  <Row
                    key={point.point}
                    point={point}
                    parameters={sweep.parameters}
                    unit={unit}
                    isMarked={point.point === marked}
                    onMark={() => onMark(point.point === marked ? null : point.point)}
                  />
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {rest > 0 && limit < mostRows ? (
            <Group>
              <Button
                size="xs"
                variant="default"
                loading={board.isFetching}
                onClick={() => setLimit(mostRows)}
              >
                Show all {count(total)} points
              </Button>
            </Group>
          ) : null}
        </Stack>
      )}
      {table === "never" ? null : (
        <Suspense>
          <TableDialog sweep={sweep} opened={table === "opened"} onClose={() => setTable("closed")} />
        </Suspense>
      )}
    </Panel>
  );
}

const Numbers = ({ titles }: { titles: readonly string[] }) =>
  titles.map((title) => (
    <Table.Th key={title} ta="right">
      {title}
    </Table.Th>
  ));

interface RowProps {
  point: SweepPoint;
  parameters: readonly string[];
  unit: Unit;
  isMarked: boolean;
  onMark: () => void;
}

function Row({ point, parameters, unit, isMarked, onMark }: RowProps) {
  return (
    <Table.Tr bg={isMarked ? "var(--mantine-primary-color-light)" : undefined} data-point={point.point}>
      <Table.Td>
        {point.rank === null ? (
          <StateOf point={point} unit={unit} />
        ) : (
          <Button
            size="compact-xs"
            variant={isMarked ? "filled" : "subtle"}
            aria-pressed={isMarked}
            aria-label={`Mark the point of rank ${point.rank} in the chart`}
            onClick={onMark}
          >
            {point.rank}
          </Button>
        )}
      </Table.Td>
      <Table.Td ta="right" fw={600}>
        {written(point.mean, unit)}
      </Table.Td>
      <Table.Td ta="right">{written(point.sd, unit)}</Table.Td>
      {parameters.map((name) => (
        <Table.Td key={name} style={{ overflowWrap: "break-word" }}>
          {valueText(point.values[name])}
        </Table.Td>
      ))}
      <Table.Td ta="right">{written(point.median, unit)}</Table.Td>
      <Table.Td ta="right">{written(point.min, unit)}</Table.Td>
      <Table.Td ta="right">{written(point.max, unit)}</Table.Td>
      <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
        {point.n === point.planned ? count(point.n) : `${count(point.n)} of ${count(point.planned)}`}
      </Table.Td>
      <Table.Td>
        <Group gap={8} wrap="wrap">
          {point.trials.map((trial) =>
            trial.run_id ? (
              <Anchor
                component={Link}
                inherit
                key={trial.number}
                to={`/runs/${trial.run_id}`}
                title={[`Seed ${trial.seed}: ${trial.status}`, trial.message].filter(Boolean).join(". ")}
              >
                {trial.seed}
                {trial.status === "failed" ? " failed" : ""}
              </Anchor>
            ) : (
              <Text key={trial.number} span inherit c="dimmed" title={trial.message ?? "Not launched yet"}>
                {trial.seed}
              </Text>
            ),
          )}
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

const stateLooks: Record<SweepPoint["status"], { label: string; colour: string }> = {
  planned: { label: "Planned", colour: "gray" },
  // Its runs are queued or running.
  running: { label: "Active", colour: "blue" },
  done: { label: "Done", colour: "teal" },
  pruned: { label: "Stopped early", colour: "yellow" },
  failed: { label: "Failed", colour: "red" },
};

function StateOf({ point, unit }: { point: SweepPoint; unit: Unit }) {
  const { label, colour } = stateLooks[point.status];
  const rung =
    point.rung_step === null ? "" : `${written(point.rung_value, unit)} at step ${count(point.rung_step)}`;
  return (
    <>
      <Badge variant="light" color={colour} radius="sm" tt="none" size="sm" miw="max-content">
        {label}
      </Badge>
      {rung ? (
        <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
          {rung}
        </Text>
      ) : null}
    </>
  );
}

const titled = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
