import { SimpleGrid, Skeleton, Stack } from "@mantine/core";
import type { RunDetail, RunStatus } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { metricCalled, useMetrics } from "@/components/runs/tasks";
import type { MetricTail } from "@/features/run/live/metric-tail";
import { type Amount, CurvePanel } from "./CurvePanel";
import { MemoryPanel } from "./MemoryPanel";
import { useCurves } from "./use-curves";

/** By the unit of the metric. */
const amounts: Partial<Record<string, Amount>> = {
  bytes: { by: 1e9, unit: "GB", decimals: 2 },
  percent: { by: 1, unit: "%", decimals: 0 },
  "1/s": { by: 1, unit: "/s", decimals: 1 },
};

/** One value at the end, which is shown next to the estimate. */
const isPeak = (metric: string) => metric === "peak_memory_bytes" || metric === "peak_gpu_memory_bytes";

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
  const shown = curves.flatMap((curve) => {
    const { group, unit } = metricCalled(curve.name, metrics);
    if (isPeak(curve.name)) return [];
    return group === "hardware" || group === "speed" ? [{ curve, amount: amounts[unit ?? ""] }] : [];
  });
  if (shown.length === 0) {
    return (
      <EmptyState title="No metrics yet">
        Memory, CPU and GPU use are measured every few seconds while the run is training.
      </EmptyState>
    );
  }
  return (
    <Stack gap="md">
      {run.memory ? <MemoryPanel memory={run.memory} /> : null}
      <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="md">
        {shown.map(({ curve, amount }) => (
          <CurvePanel
            key={curve.name}
            run={run}
            curve={curve}
            axis="time"
            isLog={false}
            {...(amount ? { scale: amount } : {})}
          />
        ))}
      </SimpleGrid>
    </Stack>
  );
}
