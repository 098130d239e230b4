import { Button, Group, Table, Text } from "@mantine/core";
import { useState } from "react";
import { signed } from "@/charts/heatmap/rank-values";
import { TableMenu } from "@/components/files/TableMenu";
import type { ModuleDifference } from "./rank-difference";
import { rankText } from "./rank-difference";

const fewRows = 10;
/** A longer table is slow and hard to read; the file has all rows. */
const mostRows = 300;

interface ModuleDifferencesProps {
  rows: readonly ModuleDifference[];
  file: string;
}

/** The modules with their rank in both runs, the largest differences first. */
export function ModuleDifferences({ rows, file }: ModuleDifferencesProps) {
  const [showsAll, setShowsAll] = useState(false);
  const shown = rows.slice(0, showsAll ? mostRows : fewRows);
  return (
    <div>
      <Group justify="space-between">
        <Text size="sm" fw={600}>
          Modules by difference
        </Text>
        <TableMenu
          label="Export modules by difference"
          file={file}
          rows={() =>
            rows.map(({ module, a, b, difference }) => ({
              name: module.name,
              rank_a: rankText(a),
              rank_b: rankText(b),
              difference,
            }))
          }
        />
      </Group>
      <Table.ScrollContainer minWidth={420} type="native" tabIndex={0}>
        <Table fz="xs" verticalSpacing={3} data-testid="module-differences">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Module</Table.Th>
              <Table.Th ta="right">A</Table.Th>
              <Table.Th ta="right">B</Table.Th>
              <Table.Th ta="right">A − B</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody className="numbers">
            {shown.map(({ module, a, b, difference }) => (
              <Table.Tr key={module.name}>
                <Table.Td ff="monospace" style={{ overflowWrap: "anywhere" }}>
                  {module.name}
                </Table.Td>
                <Table.Td ta="right">{rankText(a)}</Table.Td>
                <Table.Td ta="right">{rankText(b)}</Table.Td>
                <Table.Td ta="right">{difference === null ? "" : signed(difference)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {rows.length > fewRows && (
        <Button variant="subtle" size="compact-xs" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show fewer" : `Show ${rows.length > mostRows ? mostRows : `all ${rows.length}`}`}
        </Button>
      )}
    </div>
  );
}
