import { Badge, Button, Group, SegmentedControl, Stack, Switch, Table, Text } from "@mantine/core";
import { useState } from "react";
import type { RunDetail, RunResults } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { count, metric } from "@/components/text/format";
import { BaseAnswer } from "./BaseAnswer";
import { inShort, isTruncated, useBaseGuesses } from "./use-base-guesses";

export type Order = "worst" | "best";
type Row = RunResults["items"][number];

interface RowsPanelProps {
  run: RunDetail;
  results: RunResults;
  order: Order;
  offset: number;
  rowsAPage: number;
  onOrder: (order: Order) => void;
  onOffset: (offset: number) => void;
}

/** Evaluation rows with target and prediction, the worst or the best first. */
export function RowsPanel(props: RowsPanelProps) {
  const { run, results, order, offset, rowsAPage } = props;
  const { summary, items, next_offset } = results;
  const isPartial = summary.kept_rows < summary.rows;
  const [hasBase, setBase] = useState(false);
  const base = useBaseGuesses(run, items, hasBase);
  const baseOf = (row: Row): string => {
    const guess = base.guesses.get(row.row);
    if (guess) return inShort(guess);
    return isTruncated(row) ? "Not available: the stored text is truncated" : base.isBusy ? "…" : "–";
  };
  return (
    <Panel
      title="Evaluation rows"
      note={`By loss, at step ${count(summary.step)}.${isPartial ? ` The first ${count(summary.kept_rows)} of ${count(summary.rows)} rows were kept.` : ""}`}
      actions={
        <Group gap="md">
          <Switch
            size="xs"
            label="Base model"
            checked={hasBase}
            onChange={(event) => setBase(event.currentTarget.checked)}
          />
          <SegmentedControl
            size="xs"
            aria-label="Order of the rows"
            value={order}
            onChange={(next) => props.onOrder(next as Order)}
            data={[
              { value: "worst", label: "Worst first" },
              { value: "best", label: "Best first" },
            ]}
          />
        </Group>
      }
    >
      {hasBase && base.error ? <ErrorState error={base.error} onRetry={base.askAgain} /> : null}
      {hasBase && base.isBusy ? (
        <Text size="xs" c="dimmed" role="status">
          A worker is running the base model on these rows.
        </Text>
      ) : null}
      <Table.ScrollContainer minWidth={0} type="native">
        <Table fz="sm" verticalSpacing={6} data-testid="result-rows" className="result-rows">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Text</Table.Th>
              <Table.Th w={hasBase ? "16%" : "20%"}>Target</Table.Th>
              {hasBase ? <Table.Th w="20%">Base model</Table.Th> : null}
              <Table.Th w={hasBase ? "22%" : "26%"}>{hasBase ? "Fine-tuned" : "Prediction"}</Table.Th>
              <Table.Th w={84} className="loss">
                Loss
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items.map((row) => (
              <ResultRow
                key={`${order}-${row.row}`}
                run={run}
                row={row}
                base={hasBase ? baseOf(row) : null}
              />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Group justify="space-between" mt="xs">
        <Text size="xs" c="dimmed" className="numbers">
          {items.length
            ? `${count(offset + 1)} to ${count(offset + items.length)} of ${count(summary.kept_rows)}`
            : "No rows"}
        </Text>
        <Group gap={6}>
          <Button
            size="compact-sm"
            variant="default"
            disabled={offset === 0}
            onClick={() => props.onOffset(Math.max(0, offset - rowsAPage))}
          >
            Previous
          </Button>
          <Button
            size="compact-sm"
            variant="default"
            disabled={next_offset == null}
            onClick={() => next_offset != null && props.onOffset(next_offset)}
          >
            Next
          </Button>
        </Group>
      </Group>
    </Panel>
  );
}

interface ResultRowProps {
  run: RunDetail;
  row: Row;
  /** The base model's prediction; null if the table does not show it. */
  base: string | null;
}

function ResultRow({ run, row, base }: ResultRowProps) {
  const inputs = Object.entries(row.inputs);
  return (
    <Table.Tr style={{ verticalAlign: "top" }}>
      <Table.Td data-label="Text">
        <Stack gap={2}>
          {inputs.map(([name, text]) => (
            <div key={name}>
              {inputs.length > 1 ? (
                <Text size="xs" c="dimmed">
                  {name}
                </Text>
              ) : null}
              <Text size="sm" lineClamp={4} title={text} style={{ overflowWrap: "anywhere" }}>
                {text}
              </Text>
            </div>
          ))}
        </Stack>
      </Table.Td>
      <Table.Td data-label="Target">
        <Text size="sm" lineClamp={4} title={row.target} style={{ overflowWrap: "anywhere" }}>
          {row.target || <None />}
        </Text>
      </Table.Td>
      {base === null ? null : (
        <Table.Td data-label="Base model" data-testid="base-guess">
          <Text size="sm" lineClamp={4} title={base} style={{ overflowWrap: "anywhere" }}>
            {base || <None />}
          </Text>
        </Table.Td>
      )}
      <Table.Td data-label={base === null ? "Prediction" : "Fine-tuned"}>
        <Text size="sm" lineClamp={4} title={row.prediction} style={{ overflowWrap: "anywhere" }}>
          {row.prediction || <None />}
        </Text>
        <Group gap={6} mt={2}>
          {row.is_right == null ? null : (
            <Badge size="xs" variant="light" color={row.is_right ? "teal" : "orange"} tt="none">
              {row.is_right ? "right" : "wrong"}
            </Badge>
          )}
          <BaseAnswer run={run} inputs={row.inputs} />
        </Group>
      </Table.Td>
      <Table.Td data-label="Loss" className="numbers loss">
        {metric(row.loss)}
      </Table.Td>
    </Table.Tr>
  );
}

/** An answer or a set of labels that is empty. */
const None = () => (
  <Text span c="dimmed">
    (none)
  </Text>
);
