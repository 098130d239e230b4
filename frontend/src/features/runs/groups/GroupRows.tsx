import { ActionIcon, Anchor, Group, Loader, Table, Text } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";
import type { RunField, RunGroup } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { MethodName } from "@/components/runs/MethodName";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { count, metric, missing } from "@/components/text/format";
import type { TableView } from "@/features/runs/query/queries";
import { mostCompared, paramsOf } from "@/features/runs/query/view";
import { numberText } from "@/features/runs/table/number-text";
import { rowState } from "@/features/runs/table/row-state";
import { compareAddress } from "./compare-address";
import { groupFilter } from "./group-filter";
import { membersQuery } from "./queries";

interface GroupRowsProps {
  group: RunGroup;
  by: readonly RunField[];
  /** The numbers in the order of the columns: the headline metric first. */
  fields: readonly (RunField | undefined)[];
  spreads: readonly (RunGroup["spreads"][number] | undefined)[];
  view: TableView;
  sort: string;
  isOpen: boolean;
  onOpen: () => void;
  checkbox: ReactNode;
}

/** A group, and its runs once it is open. */
export function GroupRows(props: GroupRowsProps) {
  const { group, by, fields, spreads, view, sort, isOpen, onOpen, checkbox } = props;
  const filter = groupFilter(view.filter, by, group.keys);
  const own = { ...view, filter, group: [] };
  return (
    <>
      <Table.Tr data-testid="run-group">
        <Table.Td>
          <Group gap={6} wrap="nowrap">
            {checkbox}
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-expanded={isOpen}
              aria-label={`Runs of ${group.name}`}
              onClick={onOpen}
            >
              {isOpen ? <IconChevronDown size={15} /> : <IconChevronRight size={15} />}
            </ActionIcon>
          </Group>
        </Table.Td>
        {by.map((field, place) => (
          <Table.Td key={field.name}>
            {field.name === "setup" ? (
              <>
                <div className="clip" title={group.name} style={{ fontWeight: 600 }}>
                  {group.name}
                </div>
                <Text size="xs" c="dimmed" className="clip">
                  <MethodName name={group.method} /> · {group.model_id} · {group.data_id}
                </Text>
              </>
            ) : (
              <KeyText field={field} value={group.keys[place] ?? null} />
            )}
          </Table.Td>
        ))}
        <Table.Td ta="right" className="numbers from-sm">
          {count(group.size)}
        </Table.Td>
        {spreads.map((spread, place) => (
          <Table.Td key={fields[place]?.name ?? place} ta="right" className="numbers">
            {spread && fields[place] ? (
              <SpreadText field={fields[place]} spread={spread} size={group.size} />
            ) : null}
          </Table.Td>
        ))}
        <Table.Td ta="right">
          {group.size > 1 && group.size <= mostCompared ? (
            <Anchor component={Link} size="xs" to={compareAddress([group])}>
              Compare
            </Anchor>
          ) : (
            <Anchor component={Link} size="xs" to={`/?${paramsOf(own)}`}>
              Show runs
            </Anchor>
          )}
        </Table.Td>
      </Table.Tr>
      {isOpen ? <Members {...{ group, by, fields, filter, view, sort }} all={`/?${paramsOf(own)}`} /> : null}
    </>
  );
}

function KeyText({ field, value }: { field: RunField; value: RunGroup["keys"][number] }) {
  if (value === null)
    return (
      <Text size="sm" c="dimmed">
        {missing}
      </Text>
    );
  if (field.name === "method") return <MethodName name={String(value)} />;
  const text =
    typeof value === "number"
      ? numberText(field, value)
      : typeof value === "boolean"
        ? value
          ? "yes"
          : "no"
        : value;
  return (
    <div className="clip" title={String(value)}>
      {text}
    </div>
  );
}

function SpreadText({
  field,
  spread,
  size,
}: {
  field: RunField;
  spread: RunGroup["spreads"][number];
  size: number;
}) {
  const { mean, sd, n, min, max } = spread;
  if (mean === null || typeof mean !== "number") return missing;
  const range = n > 1 ? `${metric(min)} to ${metric(max)}, ` : "";
  return (
    <span title={`${range}${n} of ${size} runs have a value`}>
      {meanText(field, mean)}
      {typeof sd === "number" && (sd > 0 || field.kind !== "integer") ? ` ± ${meanText(field, sd)}` : ""}
      {n < size ? (
        <Text size="xs" c="dimmed" component="span">
          {" "}
          n {n}
        </Text>
      ) : null}
    </span>
  );
}

/** A mean of whole numbers, or of ranks, with two digits. */
function meanText(field: RunField, value: number): string {
  if (Math.abs(value) >= 1000) return count(value);
  return field.kind === "integer" || field.name === "mean_rank" ? value.toFixed(2) : metric(value);
}

interface MembersProps extends Pick<GroupRowsProps, "group" | "by" | "fields" | "view" | "sort"> {
  filter: string;
  /** The address of the table with all of them. */
  all: string;
}

const seed = "config.training.seed";

function Members({ group, by, fields, view, filter, sort, all }: MembersProps) {
  const columns = [seed, ...fields.slice(1).flatMap((field) => (field ? [field.name] : []))];
  const members = useQuery(membersQuery(view, filter, columns, sort));
  const width = 3 + by.length + fields.length;
  if (!members.data) {
    return (
      <Table.Tr>
        <Table.Td colSpan={width}>
          {members.error ? <ErrorState error={members.error} /> : <Loader size="xs" aria-label="Loading" />}
        </Table.Td>
      </Table.Tr>
    );
  }
  const { rows, total, queue } = members.data;
  return (
    <>
      {rows.map((run) => (
        <Table.Tr key={run.id} data-testid="group-member" className="group-member">
          <Table.Td />
          <Table.Td colSpan={by.length}>
            <Group gap={8} wrap="nowrap">
              <Link to={`/runs/${run.id}`} className="plain-link clip" title={run.name}>
                {run.name}
              </Link>
              <StatusBadge state={rowState(run, queue)} />
            </Group>
          </Table.Td>
          <Table.Td ta="right" className="numbers from-sm">
            <Text size="xs" c="dimmed">
              seed {run.cells[0] ?? missing}
            </Text>
          </Table.Td>
          <Table.Td ta="right" className="numbers">
            {metric(run.headline.best)}
          </Table.Td>
          {fields.slice(1).map((field, place) => {
            const value = run.cells[place + 1];
            return (
              <Table.Td key={field?.name ?? place} ta="right" className="numbers">
                {field && typeof value === "number" ? numberText(field, value) : missing}
              </Table.Td>
            );
          })}
          <Table.Td />
        </Table.Tr>
      ))}
      {total > rows.length ? (
        <Table.Tr>
          <Table.Td />
          <Table.Td colSpan={width - 1}>
            <Anchor component={Link} size="xs" to={all}>
              All {count(group.size)} runs
            </Anchor>
          </Table.Td>
        </Table.Tr>
      ) : null}
    </>
  );
}
