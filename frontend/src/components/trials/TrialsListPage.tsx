import { Container, Group, Skeleton, Stack, Table, Text, Title } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { age, dateTime } from "@/components/text/format";

interface Listed {
  id: string;
  name: string;
  message: string | null;
  created_at: number;
}

interface TrialsListPageProps<Item extends Listed> {
  title: string;
  /** The question that they answer. */
  lead: string;
  query: UseQueryResult<Item[]>;
  actions: ReactNode;
  /** Explains what one is; shown while the list is empty. */
  empty: { title: string; text: string };
  /** First column: links to `${address}/${id}`. */
  address: "/sweeps" | "/experiments";
  noun: string;
  columns: readonly { title: string; cell: (item: Item) => ReactNode }[];
  minWidth: number;
}

/** Every sweep or experiment, the newest first. */
export function TrialsListPage<Item extends Listed>({
  title,
  lead,
  query,
  actions,
  empty,
  ...list
}: TrialsListPageProps<Item>) {
  useTitle(title);
  return (
    <Container size="lg" px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Group justify="space-between" align="flex-end" gap="xs">
          <div style={{ flex: "1 1 320px" }}>
            <Title order={1} size="h3">
              {title}
            </Title>
            <Text size="sm" c="dimmed">
              {lead}
            </Text>
          </div>
          {query.data?.length ? <Group gap="xs">{actions}</Group> : null}
        </Group>
        {query.data ? (
          query.data.length ? (
            <List items={query.data} {...list} />
          ) : (
            <EmptyState
              title={empty.title}
              action={
                <Group gap="xs" justify="center">
                  {actions}
                </Group>
              }
            >
              {empty.text}
            </EmptyState>
          )
        ) : query.error ? (
          <ErrorState error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <Skeleton height={160} radius="md" aria-label="Loading" aria-busy />
        )}
      </Stack>
    </Container>
  );
}

type ListProps<Item extends Listed> = Pick<
  TrialsListPageProps<Item>,
  "address" | "noun" | "columns" | "minWidth"
> & { items: readonly Item[] };

function List<Item extends Listed>({ items, address, noun, columns, minWidth }: ListProps<Item>) {
  return (
    <Table.ScrollContainer minWidth={minWidth} type="native">
      <Table highlightOnHover verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            {[noun, ...columns.map((column) => column.title), "Created"].map((title) => (
              <Table.Th key={title}>{title}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody className="numbers">
          {items.map((item) => (
            <Table.Tr key={item.id}>
              <Table.Td miw={180}>
                <Link to={`${address}/${item.id}`} className="plain-link">
                  <Text span fw={600} size="sm" style={{ overflowWrap: "anywhere" }}>
                    {item.name}
                  </Text>
                </Link>
                {item.message ? (
                  <Text size="xs" c="dimmed">
                    {item.message}
                  </Text>
                ) : null}
              </Table.Td>
              {columns.map(({ title, cell }) => (
                <Table.Td key={title}>{cell(item)}</Table.Td>
              ))}
              <Table.Td style={{ whiteSpace: "nowrap" }} title={dateTime(item.created_at)}>
                {age(item.created_at, Date.now() / 1000)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
