import { ScrollArea, Table } from "@mantine/core";
import type { DataProfile } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { scrolledByKeys } from "@/components/layout/scroll";
import { count } from "@/components/text/format";

/** The rows that could not be read, with their line in the file and the reason. */
export function RejectedPanel({ profile }: { profile: DataProfile }) {
  const { rejected, rejected_rows: all } = profile;
  if (rejected.length === 0) return null;
  return (
    <Panel
      title="Rejected rows"
      note={`They are not part of the data set. Fix them in the file and upload it again, or train without them.${
        all > rejected.length ? ` The first ${count(rejected.length)} of ${count(all)}.` : ""
      }`}
    >
      <ScrollArea.Autosize mah={260} viewportProps={scrolledByKeys}>
        <Table fz="sm" verticalSpacing={4} aria-label="Rejected rows">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Line</Table.Th>
              <Table.Th>Reason</Table.Th>
              <Table.Th>Row</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rejected.map((row) => (
              <Table.Tr key={row.line}>
                <Table.Td className="numbers" style={{ verticalAlign: "top" }}>
                  {count(row.line)}
                </Table.Td>
                <Table.Td className="cell">{row.reason}</Table.Td>
                <Table.Td className="cell" c="dimmed">
                  {row.text}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea.Autosize>
    </Panel>
  );
}
