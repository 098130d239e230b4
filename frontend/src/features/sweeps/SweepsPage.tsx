import { Button, Container, Group, Skeleton, Stack, Table, Text, Title } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { SweepSummary } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { age, dateTime } from "@/components/text/format";
import { unitOf, written } from "@/components/text/metric-unit";
import { sweepsQuery } from "./queries";
import { SweepStatusBadge } from "./SweepStatusBadge";
import { searchTitles, shortName, trialsText, valuesText } from "./sweep-text";

/** Every sweep, the newest first. */
export function SweepsPage() {
  useTitle("Sweeps");
  const sweeps = useQuery(sweepsQuery);
  const start = (
    <Button component={Link} to="/sweeps/new" leftSection={<IconPlus size={16} />}>
      New sweep
    </Button>
  );
  return (
    <Container size="lg" px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Group justify="space-between" align="flex-end" gap="xs">
          <div>
            <Title order={1} size="h3">
              Sweeps
            </Title>
            <Text size="sm" c="dimmed">
              One configuration with many values of some of its fields: which are best?
            </Text>
          </div>
          {sweeps.data?.length ? start : null}
        </Group>
        {sweeps.data ? (
          sweeps.data.length ? (
            <List sweeps={sweeps.data} />
          ) : (
            <EmptyState title="No sweeps yet" action={start}>
              A sweep trains a configuration with several values of some fields, by grid, at random, by TPE or
              by successive halving, and ranks the results over the seeds.
            </EmptyState>
          )
        ) : sweeps.error ? (
          <ErrorState error={sweeps.error} onRetry={() => void sweeps.refetch()} />
        ) : (
          <Skeleton height={160} radius="md" aria-label="Loading" aria-busy />
        )}
      </Stack>
    </Container>
  );
}

function List({ sweeps }: { sweeps: SweepSummary[] }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table highlightOnHover verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Sweep</Table.Th>
            <Table.Th>Status</Table.Th>
            <Table.Th>Trials</Table.Th>
            <Table.Th>Search</Table.Th>
            <Table.Th>Best so far</Table.Th>
            <Table.Th>Created</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody className="numbers">
          {sweeps.map((one) => (
            <Table.Tr key={one.id} data-sweep={one.id}>
              <Table.Td miw={180}>
                <Link to={`/sweeps/${one.id}`} className="plain-link">
                  <Text span fw={600} size="sm" style={{ overflowWrap: "anywhere" }}>
                    {one.name}
                  </Text>
                </Link>
                {one.message ? (
                  <Text size="xs" c="dimmed">
                    {one.message}
                  </Text>
                ) : null}
              </Table.Td>
              <Table.Td>
                <SweepStatusBadge status={one.status} />
              </Table.Td>
              <Table.Td>{trialsText(one)}</Table.Td>
              <Table.Td>
                <Text size="sm">{searchTitles[one.kind]}</Text>
                <Text size="xs" c="dimmed">
                  {one.parameters.map(shortName).join(", ")}
                </Text>
              </Table.Td>
              <Table.Td>
                <Best sweep={one} />
              </Table.Td>
              <Table.Td style={{ whiteSpace: "nowrap" }} title={dateTime(one.created_at)}>
                {age(one.created_at, Date.now() / 1000)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Best({ sweep: { best, metric } }: { sweep: SweepSummary }) {
  if (!best)
    return (
      <Text span size="sm" c="dimmed">
        –
      </Text>
    );
  const unit = unitOf(metric);
  return (
    <>
      <Text size="sm">
        {written(best.mean, unit)}
        {best.sd === null ? "" : ` ± ${written(best.sd, unit)}`}
      </Text>
      <Text size="xs" c="dimmed">
        {valuesText(best.values)}
      </Text>
    </>
  );
}
