import { Table, UnstyledButton } from "@mantine/core";
import type { ReactNode } from "react";
import type { Module } from "@/api/types";
import type { GridPane, ModuleGrid } from "@/charts/heatmap/module-grid";
import {
  type Colouring,
  colourValue,
  meanings,
  type RankView,
  valueText,
} from "@/charts/heatmap/rank-values";
import { moduleLabel } from "./ledger-text";

interface RankTableProps {
  grid: ModuleGrid;
  modules: readonly Module[];
  view: RankView;
  colouring: Colouring;
  step: number;
  /** Header of the first column: Layer or Kind. */
  corner: string;
  onOpen: (module: number) => void;
}

/** The heatmap as a table; a click on a number opens its module. */
export function RankTable({ grid, modules, view, colouring, step, corner, onOpen }: RankTableProps) {
  const cells = new Map(
    grid.places.map(({ pane, row, column }, index) => [`${pane}/${row}/${column}`, index]),
  );
  const cell = (pane: number, row: number, column: number) => {
    const index = cells.get(`${pane}/${row}/${column}`);
    const module = index === undefined ? undefined : modules[index];
    if (index === undefined || !module) return "not adapted";
    const text = valueText(colourValue(view, colouring, index), colouring);
    return (
      <UnstyledButton
        fz="sm"
        className="cell-button"
        title={module.name}
        aria-label={`${moduleLabel(module, modules)}: ${text}`}
        onClick={() => onOpen(index)}
      >
        {text}
      </UnstyledButton>
    );
  };
  return (
    <Table.ScrollContainer minWidth={420} maxHeight={640}>
      {grid.panes.map((pane, index) => (
        <PaneTable
          key={pane.title}
          pane={pane}
          label={`${meanings[colouring].title} at step ${step}${pane.title ? `, ${pane.title}` : ""}`}
          corner={corner}
          cell={(row, column) => cell(index, row, column)}
        />
      ))}
    </Table.ScrollContainer>
  );
}

interface PaneTableProps {
  pane: GridPane;
  label: string;
  /** Of the first column. */
  corner: string;
  cell: (row: number, column: number) => ReactNode;
}

function PaneTable({ pane, label, corner, cell }: PaneTableProps) {
  return (
    <Table withColumnBorders stickyHeader aria-label={label} mb="xs">
      <Table.Thead>
        <Table.Tr>
          <Table.Th scope="col">{pane.title || corner}</Table.Th>
          {pane.columns.map((column) => (
            <Table.Th key={column} scope="col" ta="right">
              {column}
            </Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {pane.rows.map((row, rowIndex) => (
          <Table.Tr key={row}>
            <Table.Th scope="row">{row}</Table.Th>
            {pane.columns.map((column, columnIndex) => (
              <Table.Td key={column} ta="right" className="numbers">
                {cell(rowIndex, columnIndex)}
              </Table.Td>
            ))}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
