import { SimpleGrid, Skeleton, Stack } from "@mantine/core";
import type { RunDetail, RunStatus } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { metricCalled, useMetrics } from "@/components/runs/tasks";
import type { MetricTail } from "@/features/run/live/metric-tail";
import { type Amount, CurvePanel } from "./CurvePanel";
import { useCurves } from "./use-curves";

const gigabytes: Amount = { by: 1e9, unit: "GB", decimals: 2 };
const percent: Amount = { by: 1, unit: "%", decimals: 0 };
const rate: Amount = { by: 1, unit: "/s", decimals: 1 };

/** Memory, CPU and GPU use over time. */
export default function HardwareTab({
  run,
  status,
  cuts,
  tail,
}: {
  run: RunDetail;
  status: RunStatus;
  cuts: number;
  tail: MetricTail;
}) {
  const metrics = useMetrics(run.task);
  const { past, curves } = useCurves(run.id, {
    beta: 0,
    hasGhosts: false,
    cuts,
    status,
    tail,
  });
  if (past.error && !past.data) return <ErrorState error={past.error} onRetry={() => void past.refetch()} />;
  if (!past.data) return <Skeleton height={260} />;
  const shown = curves.filter(({ name }) =>
    ["hardware", "speed"].includes(metricCalled(name, metrics).group),
  );
  if (shown.length === 0) {
    return (
      <EmptyState title="No metrics yet">
        Memory, CPU and GPU use are measured every few seconds while the run is training.
      </EmptyState>
    );
  }
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="md">
        {shown.map((curve) => (
          <CurvePanel
            key={curve.name}
            run={run}
            curve={curve}
            axis="time"
            isLog={false}
            scale={amountOf(curve.name)}
          />
        ))}
      </SimpleGrid>
    </Stack>
  );
}

function amountOf(name: string): Amount {
  if (name.endsWith("_bytes")) return gigabytes;
  return name.endsWith("percent") ? percent : rate;
}
