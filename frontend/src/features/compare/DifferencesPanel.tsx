import { Switch, Table, Text } from "@mantine/core";
import { useState } from "react";
import type { Comparison } from "@/api/types";
import { TableMenu } from "@/components/files/TableMenu";
import { Panel } from "@/components/layout/Panel";
import { configValue, missing } from "@/components/text/format";
import { keyOf } from "./view/looks";

/** Most rows that are shown at first. */
const fewRows = 15;

/** The configuration fields that differ between the groups; within a group only the seed does. */
export function DifferencesPanel({ comparison }: { comparison: Comparison }) {
  const { runs, groups, differences } = comparison;
  const [showsAll, setShowsAll] = useState(false);
  const places = groups.map((group) => runs.findIndex((run) => run.id === keyOf(group)));
  const isGrouped = groups.length < runs.length;
  const rows = differences
    .map(({ field, values }) => ({ field, values: places.map((place) => values[place] ?? null) }))
    .filter(({ values }) => values.some((value) => JSON.stringify(value) !== JSON.stringify(values[0])));
  const shown = showsAll ? rows : rows.slice(0, fewRows);
  return (
    <Panel
      title="Configuration differences"
      note="Fields that are equal in all runs are omitted. A dash: the run's method or task has no such field."
      actions={
        <TableMenu
          label="Export configuration differences"
          file={`compare configurations ${groups.length} groups`}
          rows={() =>
            rows.map(({ field, values }) => ({
              field,
              ...Object.fromEntries(
                groups.map((group, index) => [`${group.name} (${keyOf(group)})`, exported(values[index])]),
              ),
            }))
          }
        />
      }
    >
      {rows.length === 0 ? (
        <Text size="sm" c="dimmed">
          {isGrouped
            ? "The configurations are equal, except for the seeds."
            : "The configurations are equal."}
        </Text>
      ) : (
        <>
          <Table.ScrollContainer
            minWidth={Math.max(480, 200 + groups.length * 130)}
            type="native"
            tabIndex={0}
          >
            <Table striped fz="sm" verticalSpacing={4}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Field</Table.Th>
                  {groups.map((group) => (
                    <Table.Th key={keyOf(group)} miw={110} style={{ verticalAlign: "bottom" }}>
                      {group.name}
                    </Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {shown.map(({ field, values }) => (
                  <Table.Tr key={field}>
                    <Table.Th scope="row" fw={500} ff="monospace" fz="xs">
                      {field}
                    </Table.Th>
                    {groups.map((group, index) => {
                      const value = values[index];
                      return (
                        <Table.Td
                          key={keyOf(group)}
                          className="numbers"
                          c={value === null ? "dimmed" : undefined}
                          style={{ overflowWrap: "anywhere" }}
                        >
                          {value === null ? missing : configValue(value)}
                        </Table.Td>
                      );
                    })}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {rows.length > fewRows && (
            <Switch
              size="xs"
              mt="xs"
              label={`All ${rows.length} fields`}
              checked={showsAll}
              onChange={(event) => setShowsAll(event.currentTarget.checked)}
            />
          )}
        </>
      )}
    </Panel>
  );
}

const exported = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : (value ?? null);
