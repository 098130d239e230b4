import { Box, Button, Container, Group, Paper, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { RowSelectionState } from "@tanstack/react-table";
import { Suspense, useMemo, useRef, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { lazyPart } from "@/components/server/load-part";
import { useLink } from "@/components/server/use-link";
import { count } from "@/components/text/format";
import { type Asked, ConfirmSelected } from "./labels/ConfirmSelected";
import { QueuePanel } from "./QueuePanel";
import { changesQuery, type TableView, tableQuery } from "./query/queries";
import { RunsTable } from "./table/RunsTable";
import "./runs.css";
import { FilterBar } from "./filter/FilterBar";
import { isFiltered, paramsOf, viewFrom } from "./query/view";
import { SystemStrip } from "./SystemStrip";

const SelectionBar = lazyPart(
  () => import("./labels/SelectionBar"),
  (part) => part.SelectionBar,
);

const GroupsTable = lazyPart(
  () => import("./groups/GroupsTable"),
  (part) => part.GroupsTable,
);

export function RunsPage() {
  useTitle("Runs");
  const [params, setParams] = useSearchParams();
  const filter = useMemo(() => viewFrom(params), [params]);
  const setFilter = (next: TableView) => setParams(paramsOf(next), { replace: true });
  const { isReachable } = useLink();
  const isGrouped = filter.group.length > 0;
  const query = useInfiniteQuery({ ...tableQuery(filter), enabled: !isGrouped });
  useQuery(changesQuery(filter, !isGrouped && query.isSuccess && !query.isPlaceholderData));
  const runs = useMemo(() => query.data?.pages.flatMap((page) => page.rows) ?? [], [query.data]);
  const first = query.data?.pages[0];
  const total = first?.total;
  const [selection, setSelection] = useState<RowSelectionState>({});
  const bar = useRef<HTMLDivElement>(null);
  const [filterHeight, setFilterHeight] = useState(36);
  const selected = useMemo(() => runs.filter((run) => selection[run.id]), [runs, selection]);
  const [asked, setAsked] = useState<Asked | null>(null);

  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="sm" className={selected.length > 0 ? "has-selection" : undefined}>
        <Group justify="space-between" align="center">
          <Group gap="sm" align="baseline">
            <Title order={1} size="h3">
              Runs
            </Title>
            <Text c="dimmed" size="sm" className="numbers">
              {total === undefined || isGrouped ? "" : count(total)}
            </Text>
          </Group>
          <Button component={Link} to="/new" leftSection={<IconPlus size={16} />}>
            New run
          </Button>
        </Group>
        <SystemStrip />
        <QueuePanel />
        <Box
          ref={bar}
          // Keeps the table in place when the actions replace a filter that takes more lines.
          mih={selected.length > 0 ? filterHeight : 36}
          {...(selected.length > 0 ? { className: "selection-bar" } : {})}
        >
          {selected.length > 0 ? (
            <Suspense>
              <SelectionBar
                selected={selected}
                baseline={filter.baseline}
                onBaseline={(baseline) => setFilter({ ...filter, baseline })}
                onClear={() => setSelection({})}
                onStop={() => setAsked({ action: "stop", selected })}
                onDelete={() => setAsked({ action: "delete", selected })}
              />
            </Suspense>
          ) : (
            <FilterBar
              filter={filter}
              onFilter={setFilter}
              onOpen={(view) => setParams(new URLSearchParams(view))}
            />
          )}
        </Box>
        {query.error && query.data && isReachable ? (
          <ErrorState
            error={query.error}
            title="This list is out of date"
            onRetry={() => void query.refetch()}
          />
        ) : null}
        <Paper withBorder radius="md" style={{ overflow: "clip" }}>
          {isGrouped ? (
            <Suspense fallback={<LoadingRows />}>
              <GroupsTable view={filter} onView={setFilter} />
            </Suspense>
          ) : query.isPending ? (
            <LoadingRows />
          ) : !query.data ? (
            <Box p="md">
              {query.error ? <ErrorState error={query.error} onRetry={() => void query.refetch()} /> : null}
            </Box>
          ) : runs.length === 0 ? (
            <NoRuns isFiltered={isFiltered(filter)} onClear={() => setParams({})} />
          ) : (
            <RunsTable
              runs={runs}
              fields={first?.columns ?? []}
              baseline={first?.baseline ?? null}
              queue={first?.queue ?? []}
              sort={filter.sort}
              onSort={(sort) => setFilter({ ...filter, sort })}
              selection={selection}
              onSelection={(change) => {
                if (selected.length === 0) setFilterHeight(bar.current?.offsetHeight ?? 36);
                setSelection(change);
              }}
              onEnd={() => {
                if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
              }}
            />
          )}
        </Paper>
        {query.hasNextPage && !isGrouped ? (
          <Text size="xs" c="dimmed" ta="center" className="numbers">
            {count(runs.length)} of {count(total)} loaded; scroll to load more.
          </Text>
        ) : null}
      </Stack>
      <ConfirmSelected
        asked={asked}
        onClose={() => setAsked(null)}
        onDone={() => {
          setAsked(null);
          setSelection({});
        }}
      />
    </Container>
  );
}

function LoadingRows() {
  return (
    <Stack gap={0} p="sm" aria-label="Loading" aria-busy>
      {Array.from({ length: 8 }, (_, index) => (
        <Skeleton key={index} height={33} my={10} radius="sm" />
      ))}
    </Stack>
  );
}

function NoRuns({ isFiltered: hasFilter, onClear }: { isFiltered: boolean; onClear: () => void }) {
  if (hasFilter) {
    return (
      <EmptyState
        title="No matching runs"
        action={
          <Button variant="default" onClick={onClear}>
            Show all runs
          </Button>
        }
      >
        Change the search or the filters above.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      title="No runs yet"
      action={
        <Button component={Link} to="/new" leftSection={<IconPlus size={16} />}>
          New run
        </Button>
      }
    >
      Launch one and watch the rank of every module change during training. The quick demo takes a few minutes
      on two CPU cores.
    </EmptyState>
  );
}
