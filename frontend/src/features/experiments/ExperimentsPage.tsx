import { Button, Container, Group, Skeleton, Stack, Table, Text, Title } from "@mantine/core";
import { IconPlus, IconUpload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import type { ExperimentSummary } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { age, count, dateTime } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { experimentsQuery } from "@/features/experiments/view/queries";
import { ExperimentStatusBadge } from "./ExperimentStatusBadge";
import { ImportDialog } from "./ImportDialog";
import "./experiments.css";

/** Every experiment, the newest first. */
export function ExperimentsPage() {
  useTitle("Experiments");
  const experiments = useQuery(experimentsQuery);
  const [isImporting, setImporting] = useState(false);
  const actions = (justify: "flex-start" | "center") => (
    <Group gap="xs" justify={justify}>
      <Button component={Link} to="/experiments/new" leftSection={<IconPlus size={16} />}>
        New experiment
      </Button>
      <Button variant="default" leftSection={<IconUpload size={16} />} onClick={() => setImporting(true)}>
        Import results
      </Button>
    </Group>
  );
  return (
    <Container size="lg" px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Group justify="space-between" align="flex-end" gap="xs">
          <div style={{ flex: "1 1 320px" }}>
            <Title order={1} size="h3">
              Experiments
            </Title>
            <Text size="sm" c="dimmed">
              Does adaptive rank help on your task? Methods at the same budget and seeds, answered in
              sentences.
            </Text>
          </div>
          {experiments.data?.length ? actions("flex-start") : null}
        </Group>
        {experiments.data ? (
          experiments.data.length ? (
            <List experiments={experiments.data} />
          ) : (
            <EmptyState title="No experiments yet" action={actions("center")}>
              An experiment compares methods with plain LoRA at the same budget over several seeds, and says
              what the results show. Launch one, or import results that you have, as JSON lines.
            </EmptyState>
          )
        ) : experiments.error ? (
          <ErrorState error={experiments.error} onRetry={() => void experiments.refetch()} />
        ) : (
          <Skeleton height={160} radius="md" aria-label="Loading" aria-busy />
        )}
      </Stack>
      <ImportDialog opened={isImporting} onClose={() => setImporting(false)} />
    </Container>
  );
}

function List({ experiments }: { experiments: ExperimentSummary[] }) {
  return (
    <Table.ScrollContainer minWidth={640} type="native">
      <Table highlightOnHover verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Experiment</Table.Th>
            <Table.Th>Status</Table.Th>
            <Table.Th>Trials</Table.Th>
            <Table.Th>Compares</Table.Th>
            <Table.Th>Created</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody className="numbers">
          {experiments.map((one) => (
            <Table.Tr key={one.id}>
              <Table.Td miw={200}>
                <Link to={`/experiments/${one.id}`} className="plain-link">
                  <Text span fw={600} size="sm">
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
                <ExperimentStatusBadge status={one.status} />
              </Table.Td>
              <Table.Td style={{ whiteSpace: "nowrap" }}>{trialsText(one)}</Table.Td>
              <Table.Td>
                <Text size="sm">
                  {plural(one.variants, "variant")}, mean rank {one.budgets.join(", ")},{" "}
                  {plural(one.seeds, "seed")}
                </Text>
                <Text size="xs" c="dimmed">
                  {one.tasks.join(", ")}
                </Text>
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

function trialsText({ trials: { done, failed }, expected_trials: all }: ExperimentSummary): string {
  return `${done === all ? count(all) : `${count(done)} of ${count(all)}`}${failed ? `, ${failed} failed` : ""}`;
}
