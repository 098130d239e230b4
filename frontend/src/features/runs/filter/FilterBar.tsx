import { Box, Group, MultiSelect, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { Suspense, useEffect, useState } from "react";
import type { RunStatus } from "@/api/types";
import { useMethods } from "@/components/runs/methods";
import { lazyPart } from "@/components/server/load-part";
import type { TableView } from "@/features/runs/query/queries";
import { statuses } from "@/features/runs/query/view";
import { FilterBox } from "./FilterBox";

const ColumnChooser = lazyPart(
  () => import("@/features/runs/views/ColumnChooser"),
  (part) => part.ColumnChooser,
);
const GroupByMenu = lazyPart(
  () => import("@/features/runs/groups/GroupByMenu"),
  (part) => part.GroupByMenu,
);
const ViewsMenu = lazyPart(
  () => import("@/features/runs/views/ViewsMenu"),
  (part) => part.ViewsMenu,
);

interface FilterBarProps {
  filter: TableView;
  onFilter: (view: TableView) => void;
  onOpen: (query: string) => void;
}

export function FilterBar({ filter, onFilter, onOpen }: FilterBarProps) {
  const methods = useMethods();
  const [text, setText] = useState(filter.search);
  const search = useDebouncedCallback((words: string) => onFilter({ ...filter, search: words }), 250);
  // Back and Forward change the address without typing.
  useEffect(() => setText(filter.search), [filter.search]);
  return (
    <Group gap="xs" align="flex-start">
      <TextInput
        aria-label="Search runs"
        placeholder="Search by name"
        type="search"
        leftSection={<IconSearch size={15} />}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          search(event.currentTarget.value);
        }}
        w={{ base: "100%", xs: 190 }}
      />
      <MultiSelect
        aria-label="Filter by status"
        placeholder={filter.status.length ? "" : "Any status"}
        data={[...statuses]}
        value={filter.status}
        onChange={(status) => onFilter({ ...filter, status: status as RunStatus[] })}
        clearable
        className="filter"
      />
      <MultiSelect
        aria-label="Filter by method"
        placeholder={filter.method.length ? "" : "Any method"}
        data={methods.map((method) => ({ value: method.name, label: method.label }))}
        value={filter.method}
        onChange={(method) => onFilter({ ...filter, method })}
        clearable
        className="filter"
      />
      <FilterBox value={filter.filter} onApply={(text) => onFilter({ ...filter, filter: text })} />
      <Suspense fallback={<Box w={128} h={36} />}>
        <GroupByMenu
          value={filter.group}
          columns={filter.columns}
          onChange={(group) => onFilter({ ...filter, group })}
        />
        <ColumnChooser value={filter.columns} onChange={(columns) => onFilter({ ...filter, columns })} />
        <ViewsMenu view={filter} onOpen={onOpen} />
      </Suspense>
    </Group>
  );
}
