import { Anchor, Stack, Table, Text, Title } from "@mantine/core";
import { Link } from "react-router";
import type { Answer, CollapsedTrial, ExperimentDetail } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { unitOf, written } from "@/components/text/metric-unit";
import { plural } from "@/components/text/plural";
import { collapseText } from "@/features/experiments/view/collapse";

const measured = {
  validation: "on a validation part of the training rows",
  evaluation: "on the evaluation rows",
  unknown: "on unknown rows",
};

/** What a reviewer checks: seeds, tuning, what was fixed, and every trial that collapsed. */
export function ProtocolPanel({ answer, experiment }: { answer: Answer; experiment: ExperimentDetail }) {
  const { design } = experiment;
  const { tuning } = design;
  const unit = unitOf(design.metric);
  const rows: [string, string][] = [
    ["Metric", `${design.metric.title}, ${design.metric.lower_is_better ? "lower" : "higher"} is better`],
    ["Margin", `${Number((design.margin * unit.factor).toPrecision(4))} ${unit.name}`],
    ["Seeds of the result", design.seeds.join(", ")],
    ...(design.planned_looks > 1
      ? [
          [
            "Planned looks",
            `${design.planned_looks}; p values and intervals of differences are corrected for them (Pocock)`,
          ] as [string, string],
        ]
      : []),
    [
      "Tuning",
      tuning.trials
        ? `up to ${plural(tuning.trials, "trial")} for each method and budget, ${tuning.seeds.length === 1 ? "seed" : "seeds"} ${tuning.seeds.join(", ")}, ${measured[tuning.measured_on]}`
        : "none",
    ],
    ...Object.entries(design.protocol),
  ];
  const collapsed = answer.collapsed.filter((one) => one.purpose !== "tune");
  return (
    <Panel title="Protocol" note="What the results depend on.">
      <Stack gap="md">
        <dl className="protocol">
          {rows.map(([title, text]) => (
            <div key={title}>
              <dt>{title}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
        {collapsed.length ? (
          <section>
            <Title order={3} size="h6" mb={4}>
              Collapsed trials
            </Title>
            <ul className="plain-list">
              {groupsOf(collapsed, experiment.tasks.length > 1).map(([where, of]) => (
                <li key={where}>
                  <Text size="sm" component="span">
                    {where}: {of.length === 1 ? "seed" : "seeds"}{" "}
                    {of.map((one, place) => (
                      <span key={one.trial}>
                        {place ? ", " : ""}
                        <Seed of={one} title={one.value === null ? "no result" : written(one.value, unit)} />
                      </span>
                    ))}
                  </Text>
                </li>
              ))}
            </ul>
          </section>
        ) : null}
        {answer.tuning.length ? <Tuned answer={answer} experiment={experiment} /> : null}
      </Stack>
    </Panel>
  );
}

/** Trials by variant, budget, task and cause. */
function groupsOf(collapsed: readonly CollapsedTrial[], hasTasks: boolean): [string, CollapsedTrial[]][] {
  const groups = new Map<string, CollapsedTrial[]>();
  for (const one of collapsed) {
    const task = hasTasks ? `, ${one.task}` : "";
    const where = `${one.variant}, mean rank ${one.budget}${task} (${collapseText[one.reason]})`;
    groups.set(where, [...(groups.get(where) ?? []), one]);
  }
  return [...groups];
}

const Seed = ({ of, title }: { of: CollapsedTrial; title: string }) =>
  of.run_id ? (
    <Anchor component={Link} to={`/runs/${of.run_id}`} inherit title={title}>
      {of.seed}
    </Anchor>
  ) : (
    <span title={title}>{of.seed}</span>
  );

function Tuned({ answer, experiment }: { answer: Answer; experiment: ExperimentDetail }) {
  const unit = unitOf(experiment.design.metric);
  return (
    <details className="tried-rates">
      <summary>Learning rates that were tried ({answer.tuning.length} methods and budgets)</summary>
      <Table.ScrollContainer minWidth={560} type="native" tabIndex={0}>
        <Table fz="xs" className="numbers" verticalSpacing={3} mt={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Method and budget</Table.Th>
              <Table.Th>Best</Table.Th>
              <Table.Th>All, with {experiment.design.metric.title}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {answer.tuning.map((cell) => (
              <Table.Tr key={`${cell.task} ${cell.budget} ${cell.variant}`}>
                <Table.Td>
                  {cell.variant}, rank {cell.budget}, {cell.task}
                </Table.Td>
                <Table.Td style={{ whiteSpace: "nowrap" }}>
                  {cell.best === null ? "–" : cell.best}
                  {cell.is_at_edge ? " (edge)" : ""}
                </Table.Td>
                <Table.Td>
                  {cell.rates
                    .map((rate) => `${rate.learning_rate}: ${written(rate.value, unit)}`)
                    .join(" · ")}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </details>
  );
}
