import { Text } from "@mantine/core";
import type { Snapshot } from "@/api/snapshots";
import { count } from "@/components/text/format";

interface SnapshotSummaryProps {
  snapshot: Snapshot;
  kept: number;
  total: number;
}

/** The snapshot's numbers in one line of constant height. */
export function SnapshotSummary({ snapshot, kept, total }: SnapshotSummaryProps) {
  const { ranks } = snapshot;
  const mean = snapshot.live / Math.max(1, ranks.length);
  const parts = [
    `step ${count(snapshot.step)}`,
    `${count(snapshot.live)} live, budget ${count(snapshot.budget)}`,
    `rank ${Math.min(...ranks)} to ${Math.max(...ranks)}, mean ${mean.toFixed(2)}`,
    snapshot.final ? "final mask" : snapshot.pruning ? "pruned at this step" : "",
    kept < total ? `${count(kept)} of ${count(total)} snapshots shown, prunings first` : "",
  ];
  return (
    <Text size="xs" c="dimmed" className="numbers" mt={4}>
      {parts.filter(Boolean).join(" · ")}
    </Text>
  );
}
