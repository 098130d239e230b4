import { Skeleton, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { DatasetInfo } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";
import { datasetPreviewQuery } from "./queries";

const rows = 5;

export function DataPreview({ dataset }: { dataset: DatasetInfo }) {
  const preview = useQuery(datasetPreviewQuery(dataset.id, rows));
  const labels = Object.entries(dataset.labels);
  return (
    <Panel title={`Data: ${dataset.name}`} note={dataset.description}>
      {labels.length ? (
        <Text size="xs" className="numbers" mb="xs">
          {count(dataset.rows)} rows ·{" "}
          {labels
            .slice(0, 8)
            .map(([label, number]) => `${label} ${count(number)}`)
            .join(" · ")}
          {labels.length > 8 ? ` · ${labels.length - 8} more classes` : ""}
        </Text>
      ) : null}
      {preview.isPending ? (
        <Skeleton height={150} />
      ) : preview.error ? (
        <ErrorState error={preview.error} onRetry={() => void preview.refetch()} />
      ) : (
        <Table.ScrollContainer minWidth={420} type="native" tabIndex={0}>
          <Table fz="xs" verticalSpacing={4} aria-label={`First rows of ${dataset.name}`}>
            <Table.Thead>
              <Table.Tr>
                {preview.data.columns.map((column) => (
                  <Table.Th key={column}>{column}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {preview.data.rows.map((row, index) => (
                <Table.Tr key={index}>
                  {preview.data.columns.map((column) => (
                    <Table.Td key={column} style={{ verticalAlign: "top" }}>
                      <Text size="xs" lineClamp={2} title={row[column]}>
                        {row[column]}
                      </Text>
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Panel>
  );
}
