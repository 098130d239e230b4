import { Table } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import {
  FlexRender,
  type OnChangeFn,
  type Row,
  type RowSelectionState,
  useTable,
} from "@tanstack/react-table";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, memo, useEffect, useMemo, useRef } from "react";
import type { RunField, TableRow } from "@/api/types";
import { type ColumnLook, columnsFor, features, fieldLook, looks } from "./columns";
import { directionOf, SortButton } from "./SortButton";

/** Rows have a fixed height, so that rows that are not rendered take exactly the same space. */
const rowHeight = 53;
/** On small screens the name's cell has the status and the numbers, too. */
const narrowRowHeight = 78;
/** Up to this many rows are all rendered, so that the browser's search finds every row. */
const virtualFrom = 120;

interface RunsTableProps {
  runs: TableRow[];
  /** The fields of the cells. */
  fields: readonly RunField[];
  baseline: TableRow | null;
  queue: readonly string[];
  sort: string;
  onSort: (sort: string) => void;
  selection: RowSelectionState;
  onSelection: OnChangeFn<RowSelectionState>;
  /** Called when the end of the loaded rows comes into view. */
  onEnd: () => void;
}

export function RunsTable(props: RunsTableProps) {
  const { runs, fields, baseline, queue, sort, onSort, selection, onSelection, onEnd } = props;
  const hasCurves = useMediaQuery("(width >= 88em)") === true;
  const columns = useMemo(
    () => columnsFor(fields, baseline, queue, hasCurves),
    [fields, baseline, queue, hasCurves],
  );
  const ownLooks = useMemo(
    () => ({
      ...looks,
      ...Object.fromEntries(fields.map((field) => [field.name, fieldLook(field, fields.length > 1)])),
    }),
    [fields],
  );
  const table = useTable({
    features,
    columns,
    data: runs,
    getRowId: (run) => run.id,
    state: { rowSelection: selection },
    onRowSelectionChange: onSelection,
    enableRowSelection: true,
  });
  const rows = table.getRowModel().rows;
  const height = useMediaQuery("(width < 48em)") ? narrowRowHeight : rowHeight;
  const body = useRef<HTMLDivElement>(null);
  const isVirtual = rows.length > virtualFrom;
  const virtualizer = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => height,
    overscan: 12,
    scrollMargin: body.current?.offsetTop ?? 0,
    enabled: isVirtual,
  });
  useEffect(() => virtualizer.measure(), [height, virtualizer]);
  const items = virtualizer.getVirtualItems();
  const shown = isVirtual ? items.flatMap((item) => rows[item.index] ?? []) : rows;
  const before = isVirtual ? (items[0]?.index ?? 0) * height : 0;
  const after = isVirtual ? (rows.length - 1 - (items.at(-1)?.index ?? rows.length - 1)) * height : 0;

  const end = useRef<HTMLDivElement>(null);
  const reachEnd = useRef(onEnd);
  reachEnd.current = onEnd;
  useEffect(() => {
    if (!end.current || !("IntersectionObserver" in window)) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) reachEnd.current();
      },
      { rootMargin: "400px" },
    );
    observer.observe(end.current);
    return () => observer.disconnect();
  }, []);

  return (
    <div ref={body} className={fields.length > 1 ? "is-wide" : undefined}>
      <Table
        style={fields.length > 1 ? ({ "--fields": fields.length } as CSSProperties) : undefined}
        layout="fixed"
        highlightOnHover
        className="runs-table"
        aria-rowcount={rows.length + 1}
      >
        <Table.Thead>
          {table.getHeaderGroups().map((group) => (
            <Table.Tr key={group.id}>
              {group.headers.map((header) => (
                <HeaderCell
                  key={header.id}
                  id={header.column.id}
                  look={ownLooks[header.column.id]}
                  sort={sort}
                  onSort={onSort}
                >
                  <table.FlexRender header={header} />
                </HeaderCell>
              ))}
            </Table.Tr>
          ))}
        </Table.Thead>
        <Table.Tbody>
          {before > 0 && <tr style={{ height: before }} aria-hidden />}
          {shown.map((row) => (
            <RunRow
              key={row.id}
              row={row}
              run={row.original}
              isSelected={row.getIsSelected()}
              height={height}
              columns={columns}
              looks={ownLooks}
            />
          ))}
          {after > 0 && <tr style={{ height: after }} aria-hidden />}
        </Table.Tbody>
      </Table>
      <div ref={end} />
    </div>
  );
}

interface RunRowProps {
  row: Row<typeof features, TableRow>;
  run: TableRow;
  isSelected: boolean;
  height: number;
  columns: unknown;
  looks: Record<string, ColumnLook>;
}

/** Rendered again only if its run or its selection has changed, not on scrolling or polling. */
const RunRow = memo(
  function RunRow({ row, isSelected, height, looks: own }: RunRowProps) {
    return (
      <Table.Tr
        data-testid="run-row"
        data-run={row.id}
        data-selected={isSelected || undefined}
        aria-rowindex={row.index + 2}
        bg={isSelected ? "var(--mantine-primary-color-light)" : undefined}
        style={{ height }}
      >
        {row.getAllCells().map((cell) => (
          <Table.Td
            key={cell.id}
            className={classOf(cell.column.id, own[cell.column.id])}
            ta={own[cell.column.id]?.align}
          >
            <FlexRender cell={cell} />
          </Table.Td>
        ))}
      </Table.Tr>
    );
  },
  (before, after) =>
    before.run === after.run &&
    before.isSelected === after.isSelected &&
    before.height === after.height &&
    before.columns === after.columns,
);

function classOf(column: string, look: ColumnLook | undefined): string {
  const name = look === looks[column] ? `col-${column}` : "col-field";
  return `numbers ${name}${look?.from ? ` from-${look.from}` : ""}`;
}

interface HeaderCellProps {
  id: string;
  look: ColumnLook | undefined;
  sort: string;
  onSort: (sort: string) => void;
  children: React.ReactNode;
}

function HeaderCell({ id, look, sort, onSort, children }: HeaderCellProps) {
  const { sort: field, second, startsDescending = false, width, align } = look ?? {};
  const own = field ? directionOf(sort, field) : undefined;
  const shown = own === "none" && second ? directionOf(sort, second.sort) : own;
  return (
    <Table.Th className={classOf(id, look)} w={width} ta={align} aria-sort={shown} scope="col">
      {field ? (
        <SortButton field={field} sort={sort} onSort={onSort} startsDescending={startsDescending}>
          {children}
        </SortButton>
      ) : (
        children
      )}
      {second ? (
        <>
          {" · "}
          <SortButton field={second.sort} sort={sort} onSort={onSort} startsDescending={false}>
            {second.title}
          </SortButton>
        </>
      ) : null}
    </Table.Th>
  );
}
