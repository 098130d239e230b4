import { Badge, Group, Radio, SegmentedControl, Table, Text, Tooltip } from "@mantine/core";
import { Link } from "react-router";
import type { Comparison, MetricInfo } from "@/api/types";
import { useLook } from "@/charts/plot/look";
import { TableMenu } from "@/components/files/TableMenu";
import { Panel } from "@/components/layout/Panel";
import { MethodName } from "@/components/runs/MethodName";
import { stateOf } from "@/components/runs/run-state";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { metricCalled, useAllMetrics } from "@/components/runs/tasks";
import { bytes, duration, metric, missing, shortCount } from "@/components/text/format";
import { baselineOf, groupLook, keyOf, type Group as RunGroup } from "@/features/compare/view/looks";
import type { ChangeView } from "@/features/compare/view/use-compare-view";
import type { CompareView } from "@/features/compare/view/view";
import { GroupMenu } from "./GroupMenu";
import { deltaTo, numbersOf, resultRows, signedMetric } from "./result-rows";

const mostColumns = 5;

interface ResultsPanelProps {
  comparison: Comparison;
  view: CompareView;
  onChange: ChangeView;
}

/** One row per group: metrics with their spread and the difference to the baseline, and what they cost. */
export function ResultsPanel({ comparison, view, onChange }: ResultsPanelProps) {
  const { groups } = comparison;
  const known = useAllMetrics();
  const infoOf = (name: string) => metricCalled(name, known);
  const every = comparison[view.of];
  const chosen = every.filter((verdict) => view.metrics.includes(verdict.name));
  const verdicts = (chosen.length ? chosen : every).slice(0, mostColumns);
  const baseline = baselineOf(groups, view.base);
  const baseNumbers = groups[baseline] ? numbersOf(groups[baseline], comparison) : null;
  return (
    <Panel
      title="Results"
      note={`${view.of === "best" ? "The best value of each run, after its final mask." : "The last value of each run."} Small numbers are differences to the baseline (the marked row). ${view.bySeed ? "Values are mean ± standard deviation over seeds." : ""}`}
      actions={
        <Group gap="xs">
          <SegmentedControl
            size="xs"
            aria-label="Value of each metric"
            value={view.of}
            onChange={(next) => onChange({ of: next as CompareView["of"] })}
            data={[
              { value: "best", label: "Best" },
              { value: "last", label: "Last" },
            ]}
          />
          <TableMenu
            label="Export results"
            file={`compare results ${groups.length} groups`}
            rows={() => resultRows(comparison, every, baseline, infoOf)}
          />
        </Group>
      }
    >
      <Table.ScrollContainer minWidth={640 + 120 * verdicts.length} type="native" tabIndex={0}>
        <Table style={{ whiteSpace: "nowrap" }} verticalSpacing={6} data-testid="compare-results">
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={28} aria-label="Baseline" />
              <Table.Th>{view.bySeed ? "Group" : "Run"}</Table.Th>
              <Table.Th visibleFrom="sm">Method</Table.Th>
              {verdicts.map((verdict) => (
                <Table.Th key={verdict.name} ta="right">
                  {infoOf(verdict.name).title}
                </Table.Th>
              ))}
              <Table.Th ta="right">Kept</Table.Th>
              <Table.Th ta="right">Mean rank</Table.Th>
              <Table.Th ta="right">Time</Table.Th>
              <Table.Th ta="right">Memory</Table.Th>
              <Table.Th w={32} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody className="numbers">
            {groups.map((group, index) => {
              const numbers = numbersOf(group, comparison);
              const isBase = index === baseline;
              return (
                <Table.Tr key={keyOf(group)} bg={isBase ? "var(--mantine-color-default-hover)" : undefined}>
                  <Table.Td pr={0}>
                    <Radio
                      size="xs"
                      name="baseline"
                      checked={isBase}
                      onChange={() => onChange({ base: keyOf(group) })}
                      aria-label={`Use ${group.name} as the baseline`}
                    />
                  </Table.Td>
                  <Table.Td miw={{ base: 130, sm: 200 }} maw={380} style={{ whiteSpace: "normal" }}>
                    <GroupName group={group} index={index} comparison={comparison} />
                  </Table.Td>
                  <Table.Td visibleFrom="sm">
                    <MethodName name={comparison.runs.find((run) => run.id === keyOf(group))?.method ?? ""} />
                  </Table.Td>
                  {verdicts.map((verdict) => (
                    <MetricCell
                      key={verdict.name}
                      verdict={verdict}
                      index={index}
                      baseline={baseline}
                      info={infoOf(verdict.name)}
                    />
                  ))}
                  <CostCell value={numbers.kept} base={isBase ? null : baseNumbers?.kept} text={shortCount} />
                  <Table.Td ta="right">
                    {numbers.meanRank === null ? missing : numbers.meanRank.toFixed(2)}
                  </Table.Td>
                  <CostCell
                    value={numbers.trained}
                    base={isBase ? null : baseNumbers?.trained}
                    text={(value) => (value === null ? missing : duration(value))}
                  />
                  <CostCell
                    value={numbers.memory}
                    base={isBase ? null : baseNumbers?.memory}
                    text={(value) => (value === null ? missing : bytes(value))}
                  />
                  <Table.Td pl={0}>
                    <GroupMenu group={group} comparison={comparison} />
                  </Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="dimmed" mt="xs" component="ul" pl="md" my={0} data-testid="verdicts">
        {bySentence(verdicts).map(([sentence, names]) => (
          <li key={sentence}>
            {names.length < verdicts.length
              ? `${names.map((name) => infoOf(name).title).join(", ")}: ${sentence}`
              : sentence}
          </li>
        ))}
      </Text>
    </Panel>
  );
}

/** Each sentence with the metrics that it is about: without a spread it is the same for all of them. */
function bySentence(verdicts: Comparison["best"]): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const { sentence, name } of verdicts) found.set(sentence, [...(found.get(sentence) ?? []), name]);
  return [...found];
}

function GroupName({ group, index, comparison }: { group: RunGroup; index: number; comparison: Comparison }) {
  const look = useLook();
  const first = comparison.runs.find((run) => run.id === keyOf(group));
  return (
    <Group gap={8} wrap="nowrap">
      <span
        className="dot"
        style={{ background: groupLook(look, index).colour, flexShrink: 0 }}
        aria-hidden
      />
      {group.run_ids.length === 1 ? (
        <>
          <Link
            to={`/runs/${keyOf(group)}`}
            className="plain-link"
            style={{ overflowWrap: "anywhere", minWidth: "22ch" }}
          >
            {group.name}
          </Link>
          {first && first.status !== "done" ? <StatusBadge state={stateOf(first)} /> : null}
        </>
      ) : (
        <>
          <span style={{ overflowWrap: "anywhere", minWidth: "22ch" }}>{group.name}</span>
          <Tooltip label={`Seeds ${group.seeds.join(", ")}`}>
            <Badge size="xs" variant="light" color="gray" miw="max-content">
              {group.run_ids.length} seeds
            </Badge>
          </Tooltip>
        </>
      )}
    </Group>
  );
}

interface MetricCellProps {
  verdict: Comparison["best"][number];
  index: number;
  baseline: number;
  info: MetricInfo;
}

function MetricCell({ verdict, index, baseline, info }: MetricCellProps) {
  const own = verdict.groups[index];
  const isWinner = verdict.winner === index;
  const delta =
    index === baseline ? null : deltaTo(own?.mean, verdict.groups[baseline]?.mean, info.lower_is_better);
  return (
    <Table.Td ta="right">
      <Text span inherit fw={isWinner ? 700 : 400}>
        {isWinner ? (
          <Tooltip label={verdict.sentence}>
            <Badge size="xs" color="teal" variant="light" mr={6} miw="max-content">
              ahead
            </Badge>
          </Tooltip>
        ) : null}
        {metric(own?.mean)}
        {own?.sd !== null && own?.sd !== undefined ? (
          <Text span inherit fw={400} c="dimmed">
            {" "}
            ± {metric(own.sd)}
          </Text>
        ) : null}
      </Text>
      {delta ? <DeltaLine text={signedMetric(delta.difference)} isBetter={delta.isBetter} /> : null}
    </Table.Td>
  );
}

interface CostCellProps {
  value: number | null;
  base: number | null | undefined;
  text: (value: number | null) => string;
}

/** An amount, and its ratio to the baseline's. */
function CostCell({ value, base, text }: CostCellProps) {
  const ratio = value !== null && base ? value / base : null;
  return (
    <Table.Td ta="right">
      {text(value)}
      {ratio !== null ? <DeltaLine text={`×${ratio.toFixed(ratio < 10 ? 2 : 0)}`} isBetter={null} /> : null}
    </Table.Td>
  );
}

function DeltaLine({ text, isBetter }: { text: string; isBetter: boolean | null }) {
  const colour = isBetter === null ? "dimmed" : isBetter ? "var(--better)" : "var(--worse)";
  return (
    <Text fz={11} lh={1.2} c={colour} className="delta">
      {isBetter === null ? "" : isBetter ? "▲ " : "▼ "}
      {text}
    </Text>
  );
}
