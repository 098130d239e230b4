import { Anchor, Badge, Container, Group, Paper, Skeleton, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { datasetsQuery } from "@/api/queries";
import type { DatasetInfo } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { ApiText } from "@/components/text/ApiText";
import { bytes, count } from "@/components/text/format";
import { DropZone } from "./DropZone";
import { FolderData } from "./FolderData";
import { HubData } from "./HubData";
import { ImportList } from "./ImportList";
import { PackageData } from "./PackageData";
import { importsQuery } from "./queries";

export function DataPage() {
  useTitle("Data");
  const datasets = useQuery(datasetsQuery);
  const imports = useQuery(importsQuery);
  // Shown together, so that the layout does not shift.
  const isLoading = datasets.isPending || imports.isPending;
  // Older versions are on the page of their data set.
  const items = (datasets.data ?? []).filter(
    (one) => !one.id.startsWith("imported:") || one.short_id !== null || one.problem !== null,
  );
  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Title order={1} size="h3">
          Data
        </Title>
        <DropZone datasetId={null}>Drop files here to import them as data sets</DropZone>
        {isLoading ? null : <ImportList />}
        {isLoading ? (
          <Skeleton height={240} aria-label="Loading" />
        ) : datasets.error && !datasets.data ? (
          <ErrorState error={datasets.error} onRetry={() => void datasets.refetch()} />
        ) : items.length ? (
          <DatasetTable items={items} />
        ) : (
          <EmptyState title="No data sets yet">
            Drop a file with texts and labels above, for example a CSV file whose first line is text,label.
          </EmptyState>
        )}
        {isLoading ? null : (
          <>
            <HubData />
            <FolderData />
            <PackageData />
          </>
        )}
      </Stack>
    </Container>
  );
}

function DatasetTable({ items }: { items: DatasetInfo[] }) {
  return (
    <Paper withBorder radius="md">
      <Table.ScrollContainer minWidth={0} type="native">
        <Table verticalSpacing="xs" aria-label="Data sets" className="data-sets">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th ta="right">Rows</Table.Th>
              <Table.Th className="wide-only">Columns</Table.Th>
              <Table.Th className="wide-only">Classes</Table.Th>
              <Table.Th ta="right">Size</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items.map((one) => (
              <Row key={one.id} dataset={one} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

function Row({ dataset }: { dataset: DatasetInfo }) {
  const isImported = dataset.id.startsWith("imported:");
  const id = isImported ? (dataset.short_id ?? dataset.id) : dataset.id;
  const canOpen = dataset.problem === null || isImported;
  return (
    <Table.Tr>
      <Table.Td style={{ verticalAlign: "top" }}>
        {canOpen ? (
          <Anchor
            component={Link}
            to={`/data/${encodeURIComponent(id)}`}
            size="sm"
            fw={600}
            className="data-name"
          >
            {dataset.name}
          </Anchor>
        ) : (
          <Text size="sm" fw={600}>
            {dataset.name}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          {id}
        </Text>
      </Table.Td>
      {dataset.problem === null ? (
        <>
          <Table.Td ta="right" className="numbers" data-label="Rows" style={{ verticalAlign: "top" }}>
            {dataset.rows === null ? "reading…" : count(dataset.rows)}
          </Table.Td>
          <Table.Td className="wide-only" style={{ verticalAlign: "top" }}>
            <Text size="sm" lineClamp={2}>
              {dataset.columns.join(", ")}
            </Text>
          </Table.Td>
          <Table.Td className="wide-only" style={{ verticalAlign: "top" }}>
            <Text size="sm" lineClamp={2}>
              {dataset.n_classes ? classes(dataset) : "–"}
            </Text>
          </Table.Td>
        </>
      ) : (
        <Table.Td colSpan={3}>
          <Group gap="xs" align="flex-start" className="data-problem">
            <Badge color="red" variant="light" radius="sm" tt="none" style={{ flexShrink: 0 }}>
              Can't be used
            </Badge>
            <Text size="sm">
              <ApiText>{dataset.problem}</ApiText> <ApiText>{dataset.next_step ?? ""}</ApiText>
            </Text>
          </Group>
        </Table.Td>
      )}
      <Table.Td ta="right" className="numbers" data-label="Size" style={{ verticalAlign: "top" }}>
        {bytes(dataset.size_bytes)}
      </Table.Td>
    </Table.Tr>
  );
}

function classes(dataset: DatasetInfo): string {
  const names = Object.keys(dataset.labels).slice(0, 4);
  const more = dataset.n_classes - names.length;
  return `${count(dataset.n_classes)}: ${names.join(", ")}${more > 0 ? ", …" : ""}`;
}
