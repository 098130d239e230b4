import { Alert, List, Table, Text } from "@mantine/core";
import type { DataPlan, Plan } from "@/api/types";
import { count, share } from "@/components/text/format";

const shownClasses = 8;

/** Rows, classes and groups on both sides of the split, and texts that are on both. */
export function SplitUse({ plan }: { plan: Plan }) {
  const { data } = plan;
  const more = data.n_classes - Math.min(shownClasses, data.classes.length);
  return (
    <div>
      <Table fz="sm" verticalSpacing={3} horizontalSpacing={6} className="numbers" aria-label="Split">
        <Table.Thead>
          <Table.Tr>
            <Table.Th fw={400} c="dimmed" fz="xs">
              {howSplit(data)}
            </Table.Th>
            <Table.Th ta="right" fz="xs">
              Training
            </Table.Th>
            <Table.Th ta="right" fz="xs">
              Evaluation
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          <Line name="Rows" train={count(plan.train_rows)} evaluation={count(plan.eval_rows)} />
          {data.split.column ? (
            <Line name="Parts" train={parts(data, "train")} evaluation={parts(data, "evaluation")} />
          ) : null}
          {data.split.groups ? (
            <Line
              name={`Groups by ${data.group_column}`}
              train={count(data.split.groups.train)}
              evaluation={count(data.split.groups.evaluation)}
            />
          ) : null}
          {data.classes.slice(0, shownClasses).map((one) => (
            <Line
              key={one.label}
              name={one.label}
              train={withShare(one.train_rows, plan.train_rows)}
              evaluation={withShare(one.eval_rows, plan.eval_rows)}
            />
          ))}
        </Table.Tbody>
      </Table>
      {more > 0 ? (
        <Text size="xs" c="dimmed">
          and {count(more)} more classes
        </Text>
      ) : null}
      <EqualTexts data={data} />
    </div>
  );
}

function Line({ name, train, evaluation }: { name: string; train: string; evaluation: string }) {
  return (
    <Table.Tr>
      <Table.Td c="dimmed" style={{ overflowWrap: "anywhere" }}>
        {name}
      </Table.Td>
      <Table.Td ta="right">{train}</Table.Td>
      <Table.Td ta="right">{evaluation}</Table.Td>
    </Table.Tr>
  );
}

function EqualTexts({ data }: { data: DataPlan }) {
  const { eval_rows, texts, examples } = data.split.equal_texts;
  if (!eval_rows) return null;
  return (
    <Alert
      color="yellow"
      variant="light"
      mt="xs"
      py="xs"
      title={`${count(texts)} ${texts === 1 ? "text is" : "texts are"} in both training and evaluation`}
    >
      <List size="xs" spacing={2}>
        {examples.map((one) => (
          <List.Item key={one.train_line}>
            <Text size="xs" lineClamp={2} title={one.text}>
              “{one.text}”
            </Text>
            <Text size="xs" c="dimmed" className="numbers">
              line {count(one.train_line)} (training), line {count(one.eval_line)} (evaluation)
            </Text>
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}

function howSplit(data: DataPlan): string {
  if (data.split.column) return `By column ${data.split.column}`;
  return data.group_column ? "By a hash of the group" : "By a hash of the text";
}

const parts = (data: DataPlan, side: "train" | "evaluation"): string =>
  data.split.parts
    .filter((part) => part.side === side)
    .map((part) => part.name)
    .join(", ");

const withShare = (rows: number, all: number): string =>
  all ? `${count(rows)} (${share(rows / all)})`.replaceAll(" ", "\u00a0") : count(rows);
