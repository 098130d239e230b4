import { SimpleGrid, Table } from "@mantine/core";
import type { DataProfile } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";
import { ColumnChart } from "./ColumnChart";

/** The columns with what is missing, and a chart of one of them. */
export function ColumnsPanel({ profile }: { profile: DataProfile }) {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Panel title="Columns">
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm" verticalSpacing={6} aria-label="Columns">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>Kind</Table.Th>
                <Table.Th ta="right">Missing</Table.Th>
                <Table.Th ta="right">Different</Table.Th>
                <Table.Th ta="right">Longest</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {profile.columns.map((one) => (
                <Table.Tr key={one.stored}>
                  <Table.Td className="cell">{one.name}</Table.Td>
                  <Table.Td>{one.kind}</Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {count(one.missing)}
                  </Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {one.distinct > 1000 ? "about " : ""}
                    {count(one.distinct)}
                  </Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {count(one.lengths?.longest)}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Panel>
      <ColumnChart columns={profile.columns} target={profile.target_column} />
    </SimpleGrid>
  );
}
