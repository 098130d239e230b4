import { Table } from "@mantine/core";
import type { ModuleState } from "@/api/packed";
import type { Module } from "@/api/types";
import { type HeatmapValue, importanceText } from "@/charts/heatmap";
import type { ModuleGrid } from "@/charts/module-grid";

interface RankTableProps {
  grid: ModuleGrid;
  modules: readonly Module[];
  states: readonly ModuleState[];
  value: HeatmapValue;
  step: number;
}

/** The heatmap in numbers. */
export function RankTable({ grid, modules, states, value, step }: RankTableProps) {
  const cells = new Map(grid.places.map(({ row, column }, index) => [`${row}/${column}`, index]));
  return (
    <Table.ScrollContainer minWidth={420} maxHeight={640}>
      <Table withColumnBorders stickyHeader aria-label={`${value} of each module at step ${step}`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Layer</Table.Th>
            {grid.columns.map((column) => (
              <Table.Th key={column} scope="col" ta="right">
                {column}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {grid.rows.map((row, rowIndex) => (
            <Table.Tr key={row}>
              <Table.Th scope="row">{row}</Table.Th>
              {grid.columns.map((column, columnIndex) => {
                const index = cells.get(`${rowIndex}/${columnIndex}`);
                const state = index === undefined ? undefined : states[index];
                return (
                  <Table.Td
                    key={column}
                    ta="right"
                    className="numbers"
                    title={index === undefined ? undefined : modules[index]?.name}
                  >
                    {state ? text(state, value) : "not adapted"}
                  </Table.Td>
                );
              })}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function text(state: ModuleState, value: HeatmapValue): string {
  if (value === "rank") return String(state.rank);
  return state.importance === null ? "no component" : importanceText(state.importance);
}
