import { Table, Text } from "@mantine/core";
import type { Comparison } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { configValue, missing } from "@/components/text/format";

/** The configuration fields that differ between the runs. */
export function DifferencesPanel({ comparison }: { comparison: Comparison }) {
  const { runs, differences } = comparison;
  return (
    <Panel title="Configuration differences" note="Fields that are equal in all runs are omitted.">
      {differences.length === 0 ? (
        <Text size="sm" c="dimmed">
          The configurations are equal.
        </Text>
      ) : (
        <Table.ScrollContainer minWidth={Math.max(480, 220 + runs.length * 180)}>
          <Table striped>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Field</Table.Th>
                {runs.map((run) => (
                  <Table.Th key={run.id}>{run.name}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {differences.map((difference) => (
                <Table.Tr key={difference.field}>
                  <Table.Th scope="row" fw={500} ff="monospace" fz="xs">
                    {difference.field}
                  </Table.Th>
                  {runs.map((run, index) => {
                    const value = difference.values[index];
                    return (
                      <Table.Td key={run.id} className="numbers" c={value === null ? "dimmed" : undefined}>
                        {value === null ? missing : configValue(value)}
                      </Table.Td>
                    );
                  })}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Panel>
  );
}
