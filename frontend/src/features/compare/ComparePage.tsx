import { Button, Container, Group, Skeleton, Stack, Switch, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Suspense } from "react";
import { Link } from "react-router";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { lazyPart } from "@/components/server/load-part";
import { plural } from "@/components/text/plural";
import { CurvesPanel } from "@/features/compare/curves/CurvesPanel";
import { HeatmapsPanel } from "@/features/compare/ranks/HeatmapsPanel";
import { ReportButton } from "@/features/compare/report/ReportButton";
import { ResultsPanel } from "@/features/compare/results/ResultsPanel";
import { CautionsPanel } from "./CautionsPanel";
import { DifferencesPanel } from "./DifferencesPanel";
import { ForestPanel } from "./ForestPanel";
import { compareQuery } from "./view/queries";
import { useCompareView } from "./view/use-compare-view";
import { mostSingle } from "./view/view";

const RankDifferencePanel = lazyPart(
  () => import("./ranks/RankDifferencePanel"),
  (part) => part.RankDifferencePanel,
);

const SpreadPanel = lazyPart(
  () => import("./ranks/SpreadPanel"),
  (part) => part.SpreadPanel,
);
const TradeOffPanel = lazyPart(
  () => import("./results/TradeOffPanel"),
  (part) => part.TradeOffPanel,
);

/** Up to 20 runs or groups side by side. All choices are in the URL. */
/** "9 groups of 45 runs", or "3 runs". */
const counted = (runs: number, groups = runs): string =>
  groups < runs ? `${plural(groups, "group")} of ${runs} runs` : `${runs} runs`;

export function ComparePage() {
  useTitle("Compare");
  const [view, onChange] = useCompareView();
  const comparison = useQuery(compareQuery(view.runs, view.bySeed));
  const data = comparison.data;
  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Group justify="space-between" gap="sm">
          <Title order={1} size="h3">
            Compare {view.runs.length > 1 ? counted(view.runs.length, data?.groups.length) : ""}
          </Title>
          {data && (
            <Group gap="md">
              <Switch
                label="Group seeds"
                checked={view.bySeed}
                disabled={view.runs.length > mostSingle}
                title={
                  view.runs.length > mostSingle ? `More than ${mostSingle} runs are compared in groups.` : ""
                }
                onChange={(event) => onChange({ bySeed: event.currentTarget.checked })}
                data-testid="group-seeds"
              />
              <ReportButton comparison={data} view={view} />
            </Group>
          )}
        </Group>
        {view.runs.length < 2 ? (
          <EmptyState
            title="Choose at least two runs"
            action={
              <Button component={Link} to="/">
                All runs
              </Button>
            }
          >
            Select them in the table of runs, then choose Compare.
          </EmptyState>
        ) : data ? (
          <>
            <CautionsPanel comparison={data} />
            <ResultsPanel comparison={data} view={view} onChange={onChange} />
            <CurvesPanel comparison={data} view={view} onChange={onChange} />
            <Suspense fallback={<Skeleton height={420} />}>
              <TradeOffPanel comparison={data} view={view} onChange={onChange} />
            </Suspense>
            <HeatmapsPanel comparison={data} />
            <Suspense fallback={<Skeleton height={420} />}>
              <RankDifferencePanel comparison={data} view={view} onChange={onChange} />
              <SpreadPanel comparison={data} view={view} onChange={onChange} />
            </Suspense>
            <DifferencesPanel comparison={data} />
            <ForestPanel runs={view.runs} />
          </>
        ) : comparison.error ? (
          <ErrorState
            error={comparison.error}
            title="These runs cannot be compared"
            onRetry={() => void comparison.refetch()}
          />
        ) : (
          <Stack gap="md" aria-label="Loading" aria-busy>
            <Skeleton height={140} />
            <Skeleton height={360} />
          </Stack>
        )}
      </Stack>
    </Container>
  );
}
