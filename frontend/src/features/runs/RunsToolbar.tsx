import { Button, Group, MultiSelect, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconArrowsDiff, IconPlayerStop, IconSearch, IconTrash } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import type { RunStatus, RunSummary } from "@/api/types";
import { useMethods } from "@/components/runs/methods";
import type { RunFilter } from "./queries";
import { canDelete, canStop, statuses } from "./view";

interface FilterBarProps {
  filter: RunFilter;
  onFilter: (filter: RunFilter) => void;
}

export function FilterBar({ filter, onFilter }: FilterBarProps) {
  const methods = useMethods();
  const [text, setText] = useState(filter.search);
  const search = useDebouncedCallback((words: string) => onFilter({ ...filter, search: words }), 250);
  // Back and Forward change the address without typing.
  useEffect(() => setText(filter.search), [filter.search]);
  return (
    <Group gap="xs" align="flex-end">
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
        w={{ base: "100%", xs: 230 }}
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
    </Group>
  );
}

/** Most runs that the API compares. */
const mostCompared = 20;

interface SelectionBarProps {
  selected: RunSummary[];
  onClear: () => void;
  onStop: () => void;
  onDelete: () => void;
}

export function SelectionBar({ selected, onClear, onStop, onDelete }: SelectionBarProps) {
  const compareTo = `/compare?runs=${selected.map((run) => run.id).join(",")}`;
  return (
    <Group gap="xs" role="toolbar" aria-label="Actions for the selected runs">
      <Text size="sm" className="numbers" fw={600}>
        {selected.length} selected
      </Text>
      {selected.length > mostCompared ? (
        <Button size="xs" disabled leftSection={<IconArrowsDiff size={15} />} data-testid="compare-selected">
          Compare: select at most {mostCompared}
        </Button>
      ) : selected.length >= 2 ? (
        <Button
          size="xs"
          component={Link}
          to={compareTo}
          leftSection={<IconArrowsDiff size={15} />}
          data-testid="compare-selected"
        >
          Compare
        </Button>
      ) : (
        <Button size="xs" disabled leftSection={<IconArrowsDiff size={15} />} data-testid="compare-selected">
          Compare: select one more
        </Button>
      )}
      <Button
        size="xs"
        variant="default"
        leftSection={<IconPlayerStop size={15} />}
        disabled={!selected.some((run) => canStop(run.status))}
        onClick={onStop}
      >
        Stop
      </Button>
      <Button
        size="xs"
        variant="default"
        c="red"
        leftSection={<IconTrash size={15} />}
        disabled={!selected.some((run) => canDelete(run.status))}
        onClick={onDelete}
      >
        Delete
      </Button>
      <Button size="xs" variant="subtle" color="gray" onClick={onClear}>
        Clear
      </Button>
    </Group>
  );
}
