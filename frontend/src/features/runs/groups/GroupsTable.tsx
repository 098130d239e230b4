import { Alert, Box, Button, Checkbox, Group, Skeleton, Stack, Table, Text } from "@mantine/core";
import { IconArrowsDiff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type CSSProperties, useState } from "react";
import { Link } from "react-router";
import type { RunField, RunGroup, RunGroups } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { sharedHeadline } from "@/components/runs/tasks";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { fieldsQuery, type TableView } from "@/features/runs/query/queries";
import { mostCompared, mostGrouped } from "@/features/runs/query/view";
import { columnTitle } from "@/features/runs/table/column-title";
import { SortButton } from "@/features/runs/table/SortButton";
import { compareAddress } from "./compare-address";
import { GroupRows } from "./GroupRows";
import { groupChangesQuery, groupsQuery } from "./queries";

const headline = "headline";
/** The API's limit. */
const mostNumbers = 8;

interface GroupsTableProps {
  view: TableView;
  onView: (view: TableView) => void;
}

/** Groups of runs with mean and standard deviation of the metric and of the columns with numbers. */
export function GroupsTable({ view, onView }: GroupsTableProps) {
  const fields = useQuery(fieldsQuery);
  const isNumber = (name: string) =>
    name.startsWith("metrics.") ||
    fields.data?.items.some(
      (field) => field.name === name && (field.kind === "number" || field.kind === "integer"),
    );
  const columns = view.columns
    .filter((name) => isNumber(name) && name !== headline)
    .slice(0, mostNumbers - 1);
  const shown = [headline, ...columns];
  const sorted = view.sort.replace(/^-/, "");
  const first = shown.includes(sorted) ? sorted : headline;
  const sort = first === sorted ? view.sort : `-${headline}`;
  const of = [first, ...shown.filter((name) => name !== first)];
  const groups = useQuery({ ...groupsQuery(view, of, sort.startsWith("-")), enabled: !fields.isPending });
  useQuery(groupChangesQuery(view, groups.data?.changes));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const data = groups.data;
  if (!data) {
    return groups.error ? (
      <Box p="md">
        <ErrorState error={groups.error} onRetry={() => void groups.refetch()} />
      </Box>
    ) : (
      <Stack gap={0} p="sm" aria-label="Loading" aria-busy>
        <Skeleton height={33} my={10} />
        <Skeleton height={33} my={10} />
      </Stack>
    );
  }
  const places = shown.map((name) => data.of.findIndex((field) => field.name === name));
  const chosen = data.items.filter((group) => selected.has(keyOf(group)));
  return (
    <div data-testid="run-groups">
      <Group gap="sm" px="sm" py={8} mih={46}>
        <Text size="sm" c="dimmed" className="numbers">
          {plural(data.total, "group")} by {data.by.map((field) => titleOf(field).toLowerCase()).join(", ")}
        </Text>
        {chosen.length > 1 ? <CompareGroups groups={chosen} /> : null}
        <Button
          size="compact-sm"
          variant="subtle"
          color="gray"
          onClick={() => onView({ ...view, group: [] })}
        >
          Ungroup
        </Button>
      </Group>
      {groups.error ? <ErrorState error={groups.error} title="These groups are out of date" /> : null}
      {data.items.length === 0 ? (
        <EmptyState title="No matching runs">Change the search or the filters above.</EmptyState>
      ) : (
        <Box
          style={{ overflowX: "auto", "--keys": data.by.length, "--numbers": shown.length } as CSSProperties}
        >
          <Table layout="fixed" className="runs-table groups-table" highlightOnHover>
            <Table.Thead>
              <Table.Tr>
                <Table.Th w={72} aria-label="Select and expand" />
                {data.by.map((field) => (
                  <Table.Th key={field.name} scope="col">
                    {titleOf(field)}
                  </Table.Th>
                ))}
                <Table.Th scope="col" ta="right" w={70} className="from-sm">
                  Runs
                </Table.Th>
                {shown.map((name, index) => (
                  <Table.Th key={name} scope="col" ta="right" w={138} className="col-field">
                    <SortButton
                      field={name}
                      sort={sort}
                      onSort={(next) => onView({ ...view, sort: next })}
                      startsDescending
                    >
                      <span title={name}>
                        {index === 0 ? titleOfMetric(data.items) : columnTitleAt(data.of, places[index])}
                      </span>
                    </SortButton>
                  </Table.Th>
                ))}
                <Table.Th w={110} aria-label="Actions" />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {data.items.map((group) => (
                <GroupRows
                  key={keyOf(group)}
                  group={group}
                  by={data.by}
                  fields={places.map((place) => data.of[place])}
                  spreads={places.map((place) => group.spreads[place])}
                  view={view}
                  sort={sort}
                  isOpen={open.has(keyOf(group))}
                  onOpen={() => setOpen(toggled(open, keyOf(group)))}
                  checkbox={
                    <Checkbox
                      size="xs"
                      aria-label={`Select the group ${group.name}`}
                      checked={selected.has(keyOf(group))}
                      onChange={() => setSelected(toggled(selected, keyOf(group)))}
                    />
                  }
                />
              ))}
            </Table.Tbody>
          </Table>
        </Box>
      )}
      {data.total > data.items.length ? (
        <Alert color="gray" m="sm" variant="light">
          The first {count(data.items.length)} of {count(data.total)} groups. Filter the runs, or group by
          fewer fields.
        </Alert>
      ) : null}
    </div>
  );
}

function CompareGroups({ groups }: { groups: readonly RunGroup[] }) {
  const size = groups.reduce((sum, group) => sum + group.size, 0);
  const label = `Compare ${plural(groups.length, "group")}`;
  const isTooMany = groups.length > mostCompared;
  if (isTooMany || size > mostGrouped) {
    return (
      <Button size="xs" disabled leftSection={<IconArrowsDiff size={15} />}>
        {label}
        {isTooMany ? `: at most ${mostCompared}` : `: ${count(size)} runs, at most ${mostGrouped}`}
      </Button>
    );
  }
  return (
    <Button
      size="xs"
      component={Link}
      to={compareAddress(groups)}
      leftSection={<IconArrowsDiff size={15} />}
      data-testid="compare-groups"
    >
      {label}
    </Button>
  );
}

const titleOf = (field: RunField): string => (field.name === "setup" ? "Configuration" : field.title);

const columnTitleAt = (of: readonly RunField[], place = 0): string => {
  const field = of[place];
  return field ? columnTitle(field) : "";
};

const keyOf = (group: RunGroups["items"][number]): string => JSON.stringify(group.keys);

const toggled = (set: ReadonlySet<string>, key: string): ReadonlySet<string> => {
  const next = new Set(set);
  if (!next.delete(key)) next.add(key);
  return next;
};

function titleOfMetric(groups: readonly RunGroup[]): string {
  const title = sharedHeadline(groups.map((group) => ({ headline: { title: group.headline } })));
  return title.charAt(0).toUpperCase() + title.slice(1);
}
