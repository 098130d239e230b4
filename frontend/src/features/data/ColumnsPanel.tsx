import { SimpleGrid, Table } from "@mantine/core";
import type { DataProfile } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";
import { ColumnChart } from "./ColumnChart";

/** Up to this many different values are counted exactly. */
const estimatedFrom = 4095;

/** The columns with what is missing, and a chart of one of them. */
export function ColumnsPanel({ profile }: { profile: DataProfile }) {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Panel title="Columns">
        <Table.ScrollContainer minWidth={0} type="native">
          <Table fz={{ base: "xs", xs: "sm" }} verticalSpacing={6} horizontalSpacing={6} aria-label="Columns">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>Kind</Table.Th>
                <Table.Th ta="right">Missing</Table.Th>
                <Table.Th ta="right">Distinct</Table.Th>
                <Table.Th ta="right">Longest</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {profile.columns.map((one) => (
                <Table.Tr key={one.stored}>
                  <Table.Td className="cell column-name">{one.name}</Table.Td>
                  <Table.Td>{one.kind}</Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {count(one.missing)}
                  </Table.Td>
                  <Table.Td ta="right" className="numbers">
                    {one.distinct >= estimatedFrom ? "about " : ""}
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
