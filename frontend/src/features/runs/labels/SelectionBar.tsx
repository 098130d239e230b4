import { Button, Group, Menu, MultiSelect, Popover, Stack, Text, TextInput } from "@mantine/core";
import {
  IconArchive,
  IconArrowsDiff,
  IconDots,
  IconPlayerStop,
  IconTag,
  IconTrash,
} from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import type { TableRow } from "@/api/types";
import { canDelete, canStop, mostCompared, mostGrouped } from "@/features/runs/query/view";
import { TagsField } from "./TagsField";
import { useLabels } from "./use-labels";

interface SelectionBarProps {
  selected: TableRow[];
  baseline: string;
  onBaseline: (id: string) => void;
  onClear: () => void;
  onStop: () => void;
  onDelete: () => void;
}

export function SelectionBar({
  selected,
  baseline,
  onBaseline,
  onClear,
  onStop,
  onDelete,
}: SelectionBarProps) {
  const { change } = useLabels();
  const run_ids = selected.map((run) => run.id);
  const isArchived = selected.every((run) => run.archived);
  const [project, setProject] = useState(selected[0]?.project ?? "");
  const [only] = selected.length === 1 ? selected : [];
  const compareTo = `/compare?runs=${selected.map((run) => run.id).join(",")}`;
  return (
    <Group gap="xs" role="toolbar" aria-label="Actions for the selected runs" className="selection-actions">
      <Text size="sm" className="numbers" fw={600}>
        {selected.length} selected
      </Text>
      {selected.length > mostGrouped ? (
        <Button size="xs" disabled leftSection={<IconArrowsDiff size={15} />} data-testid="compare-selected">
          Compare: select at most {mostGrouped}
        </Button>
      ) : selected.length >= 2 ? (
        <Button
          size="xs"
          component={Link}
          to={compareTo}
          leftSection={<IconArrowsDiff size={15} />}
          data-testid="compare-selected"
          {...(selected.length > mostCompared
            ? {
                title: `Runs that differ only in their seed are one group. At most ${mostCompared} groups are compared.`,
              }
            : {})}
        >
          {selected.length > mostCompared ? "Compare groups" : "Compare"}
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
      <TagSelected selected={selected} />
      <Button
        size="xs"
        variant="default"
        leftSection={<IconArchive size={15} />}
        onClick={() => {
          change.mutate({ run_ids, archived: !isArchived });
          onClear();
        }}
      >
        {isArchived ? "Bring back" : "Archive"}
      </Button>
      <Menu position="bottom-start" withinPortal closeOnItemClick>
        <Menu.Target>
          <Button size="xs" variant="default" aria-label="More actions">
            <IconDots size={15} />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {only ? (
            <Menu.Item onClick={() => onBaseline(only.id === baseline ? "" : only.id)}>
              {only.id === baseline ? "Remove as baseline" : "Compare others with this run"}
            </Menu.Item>
          ) : null}
          <Menu.Label>Project</Menu.Label>
          <Group gap={6} px="sm" pb={6} wrap="nowrap">
            <TextInput
              size="xs"
              aria-label="Project"
              placeholder="Empty: none"
              maxLength={100}
              value={project}
              onChange={(event) => setProject(event.currentTarget.value)}
            />
            <Button
              size="xs"
              onClick={() => {
                change.mutate({ run_ids, project: project.trim() });
                onClear();
              }}
            >
              Move
            </Button>
          </Group>
        </Menu.Dropdown>
      </Menu>
      <Button size="xs" variant="subtle" color="gray" onClick={onClear}>
        Clear
      </Button>
    </Group>
  );
}

/** Adds tags to the selected runs, and removes those that they have in common or some of them. */
function TagSelected({ selected }: { selected: TableRow[] }) {
  const { change } = useLabels();
  const [isOpen, setOpen] = useState(false);
  const [add, setAdd] = useState<string[]>([]);
  const [remove, setRemove] = useState<string[]>([]);
  const present = [...new Set(selected.flatMap((run) => run.tags))].sort();
  return (
    <Popover
      opened={isOpen}
      onChange={setOpen}
      width={320}
      position="bottom-start"
      shadow="md"
      trapFocus
      withinPortal
    >
      <Popover.Target>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconTag size={15} />}
          onClick={() => setOpen(!isOpen)}
        >
          Tags
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs">
          <TagsField label="Add" value={add} onChange={setAdd} />
          {present.length > 0 ? (
            <MultiSelect
              size="xs"
              label="Remove"
              data={present}
              value={remove}
              onChange={setRemove}
              comboboxProps={{ withinPortal: false }}
            />
          ) : null}
          <Group justify="flex-end">
            <Button
              size="xs"
              disabled={add.length + remove.length === 0}
              onClick={() => {
                change.mutate({ run_ids: selected.map((run) => run.id), add_tags: add, remove_tags: remove });
                setOpen(false);
                setAdd([]);
                setRemove([]);
              }}
            >
              Change tags
            </Button>
          </Group>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
