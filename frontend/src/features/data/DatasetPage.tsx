import { Anchor, Button, Container, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { DataProfile, DatasetDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { bytes, count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { type ChartedColumn, ColumnChart } from "./ColumnChart";
import { ColumnsPanel } from "./ColumnsPanel";
import { DropZone } from "./DropZone";
import { ImportList } from "./ImportList";
import { datasetQuery } from "./queries";
import { RejectedPanel } from "./RejectedPanel";
import { RowsPanel } from "./RowsPanel";
import { VersionsPanel } from "./VersionsPanel";

export function DatasetPage() {
  const { id = "" } = useParams();
  const detail = useQuery(datasetQuery(id));
  useTitle(detail.data?.dataset.name ?? "Data set");
  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Anchor component={Link} to="/data" size="sm">
          All data
        </Anchor>
        {detail.data ? (
          <Dataset detail={detail.data} />
        ) : detail.error ? (
          <ErrorState error={detail.error} onRetry={() => void detail.refetch()} />
        ) : (
          <Skeleton height={320} aria-label="Loading" />
        )}
      </Stack>
    </Container>
  );
}

function Dataset({ detail }: { detail: DatasetDetail }) {
  const { dataset, profile, versions } = detail;
  const setId = dataset.id.startsWith("imported:") ? dataset.id.slice(9).split("@")[0] : undefined;
  return (
    <>
      <Group justify="space-between" align="flex-start" gap="sm">
        <div style={{ minWidth: 0 }}>
          <Title order={1} size="h3" style={{ overflowWrap: "anywhere" }}>
            {dataset.name}
          </Title>
          <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
            {[
              dataset.id,
              dataset.rows === null ? null : plural(dataset.rows, "row"),
              bytes(dataset.size_bytes),
              dataset.encoding,
              profile?.origin ? origin(profile.origin) : null,
              dataset.separator ? `separated by ${separatorName(dataset.separator)}` : null,
            ]
              .filter(Boolean)
              .join(" · ")}
          </Text>
        </div>
        {dataset.problem === null ? (
          <Button
            component={Link}
            to={`/new?data=${encodeURIComponent(dataset.id)}`}
            leftSection={<IconPlus size={16} />}
          >
            New run with this data
          </Button>
        ) : null}
      </Group>
      {dataset.problem === null ? null : (
        <ErrorState
          title="This version can't be used"
          error={new Error(`${dataset.problem} ${dataset.next_step ?? ""}`)}
        />
      )}
      {setId ? <ImportList setId={setId} /> : null}
      {profile ? (
        <>
          <Text size="sm" data-testid="profile-facts">
            {[
              plural(profile.duplicates, "repeated row"),
              `${count(profile.rejected_rows)} rejected`,
              ...profile.left_out.map((one) => `${count(one.rows)} with ${one.reason}`),
            ].join(" · ")}
          </Text>
          <ColumnsPanel profile={profile} />
          <RejectedPanel profile={profile} />
          <RowsPanel key={dataset.id} id={dataset.id} profile={profile} />
        </>
      ) : dataset.problem === null ? (
        <>
          <Text size="sm">
            This data set is a file in the datasets folder and is read directly. To get a full profile, all
            rows and versions, upload it on the Data page.
          </Text>
          <ColumnChart columns={chartedColumns(detail)} target={dataset.target_column} />
        </>
      ) : null}
      {setId ? (
        <>
          <VersionsPanel detail={detail} />
          <DropZone datasetId={dataset.id}>
            {`Drop an edited file here to import it as version ${(versions[0]?.version ?? 0) + 1}`}
          </DropZone>
        </>
      ) : null}
    </>
  );
}

/** The columns of a file of the installation: lengths of texts, and the classes. */
function chartedColumns({ dataset, text_lengths }: DatasetDetail): ChartedColumn[] {
  return dataset.columns.map((name) => {
    const isTarget = name === dataset.target_column;
    return {
      name,
      distinct: isTarget ? dataset.n_classes : 0,
      values: isTarget ? Object.entries(dataset.labels) : [],
      lengths: text_lengths.find((one) => one.column === name)?.lengths ?? null,
    };
  });
}

function origin({ hub_id, subset, commit, license }: NonNullable<DataProfile["origin"]>): string {
  const part = subset === "default" ? "" : `, ${subset}`;
  return `from the hub: ${hub_id}${part} at ${commit.slice(0, 8)}${license ? `, ${license}` : ""}`;
}

function separatorName(separator: string): string {
  return { ",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar" }[separator] ?? separator;
}
