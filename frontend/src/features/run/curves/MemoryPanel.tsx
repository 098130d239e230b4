import { Text } from "@mantine/core";
import type { RunDetail } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { bytes } from "@/components/text/format";

/** The run's peak memory as estimated at its launch, and as measured at its end. */
export function MemoryPanel({ memory }: { memory: NonNullable<RunDetail["memory"]> }) {
  const { device, estimated_bytes: estimated, measured_bytes: measured } = memory;
  return (
    <Panel title={device === "gpu" ? "Peak memory on the GPU" : "Peak memory of the training process"}>
      <Text size="sm" className="numbers" data-testid="peak-memory">
        Estimated {bytes(estimated)}
        {measured === null
          ? ". The measured peak follows when the training ends."
          : `, measured ${bytes(measured)}: ${difference(estimated, measured)}.`}
      </Text>
      {measured === null ? null : (
        <Text size="xs" c="dimmed">
          Estimates for later runs of this kind of model are corrected by this measurement.
        </Text>
      )}
    </Panel>
  );
}

export function difference(estimated: number, measured: number): string {
  const percent = Math.round(100 * (estimated / measured - 1));
  if (percent === 0) return "the estimate was right to within one percent";
  return `the estimate was ${Math.abs(percent)} % too ${percent > 0 ? "high" : "low"}`;
}
