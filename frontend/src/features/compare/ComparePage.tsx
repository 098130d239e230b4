import { Alert, Button, Container, Skeleton, Stack, Title } from "@mantine/core";
import { IconScale } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { CurvesPanel } from "./CurvesPanel";
import { DifferencesPanel } from "./DifferencesPanel";
import { HeatmapsPanel } from "./HeatmapsPanel";
import { compareQuery } from "./queries";
import { SummaryPanel } from "./SummaryPanel";

export function ComparePage() {
  useTitle("Compare");
  const [params] = useSearchParams();
  const ids = (params.get("runs") ?? "").split(",").filter(Boolean);
  const comparison = useQuery({
    ...compareQuery(ids),
    refetchInterval: (query) => (query.state.data?.runs.some((run) => run.ended_at === null) ? 3000 : false),
  });
  const data = comparison.data;
  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Title order={1} size="h3">
          Compare {ids.length > 1 ? `${ids.length} runs` : ""}
        </Title>
        {ids.length < 2 ? (
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
            {data.equal_budget ? null : (
              <Alert
                color="yellow"
                variant="light"
                icon={<IconScale size={18} />}
                title="The budgets differ"
                data-testid="budget-note"
              >
                These runs do not keep the same number of parameters, so a better score may come from the
                larger budget alone. For a fair comparison, launch a control at the same kept budget.
              </Alert>
            )}
            <SummaryPanel runs={data.runs} />
            <CurvesPanel runs={data.runs} />
            <HeatmapsPanel runs={data.runs} />
            <DifferencesPanel comparison={data} />
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
