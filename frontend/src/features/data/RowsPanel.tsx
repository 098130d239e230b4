import { Button, Group, NumberInput, Select, Skeleton, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { DataProfile } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";
import { type RowFilter, rowsQuery } from "./queries";

const pageSize = 25;

/** The rows, page by page, of all classes or one. */
export function RowsPanel({ id, profile }: { id: string; profile: DataProfile }) {
  const [offset, setOffset] = useState(0);
  const [filter, setFilter] = useState<RowFilter | null>(null);
  const page = useQuery(rowsQuery(id, offset, pageSize, filter));
  const label = profile.columns.find((one) => one.name === profile.target_column && one.values.length);
  const total = page.data?.total ?? 0;
  const last = Math.min(offset + pageSize, total);
  return (
    <Panel
      title="Rows"
      actions={
        <Group gap="xs">
          {label ? (
            <Select
              size="xs"
              w={180}
              aria-label={`Rows by ${label.name}`}
              placeholder={`All of ${label.name}`}
              clearable
              data={label.values.map(([value]) => value)}
              value={filter?.value ?? null}
              onChange={(value) => {
                setOffset(0);
                setFilter(value === null ? null : { column: label.name, value });
              }}
            />
          ) : null}
          <NumberInput
            size="xs"
            w={130}
            aria-label="First row"
            prefix="from "
            min={1}
            max={Math.max(1, total)}
            thousandSeparator=","
            allowDecimal={false}
            value={offset + 1}
            onChange={(value) => setOffset(Math.max(0, Number(value || 1) - 1))}
          />
          <Button
            size="xs"
            variant="default"
            disabled={offset === 0}
            onClick={() => setOffset(Math.max(0, offset - pageSize))}
          >
            Previous
          </Button>
          <Button
            size="xs"
            variant="default"
            disabled={last >= total}
            onClick={() => setOffset(offset + pageSize)}
          >
            Next
          </Button>
        </Group>
      }
    >
      {page.data ? (
        <>
          <Text size="xs" c="dimmed" className="numbers" mb={4}>
            {total ? `${count(offset + 1)} to ${count(last)} of ${count(total)}` : "No rows"}
          </Text>
          <Table.ScrollContainer minWidth={520} type="native" tabIndex={0}>
            <Table fz="sm" verticalSpacing={4} aria-label="Rows" data-testid="rows">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th w={80}>Row</Table.Th>
                  {page.data.columns.map((name) => (
                    <Table.Th key={name}>{name}</Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {page.data.rows.map((row) => (
                  <Table.Tr key={row.number}>
                    <Table.Td c="dimmed" className="numbers" style={{ verticalAlign: "top" }}>
                      {count(row.number)}
                    </Table.Td>
                    {row.cells.map((cell, index) => (
                      <Table.Td key={page.data.columns[index]} className="cell">
                        {cell === null ? (
                          <Text span size="sm" c="dimmed" fs="italic">
                            missing
                          </Text>
                        ) : (
                          cell
                        )}
                      </Table.Td>
                    ))}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </>
      ) : page.error ? (
        <ErrorState error={page.error} onRetry={() => void page.refetch()} />
      ) : (
        <Skeleton height={200} />
      )}
    </Panel>
  );
}
