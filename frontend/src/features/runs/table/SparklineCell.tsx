import { useQuery } from "@tanstack/react-query";
import { isActive } from "@/api/active-runs";
import type { TableRow } from "@/api/types";
import { metric } from "@/components/text/format";
import { sparklineQuery } from "./sparkline-query";

const width = 72;
const height = 22;
const highest = 99;

/** The shape of the run's train loss. */
export function SparklineCell({ run }: { run: TableRow }) {
  const { data: line } = useQuery(sparklineQuery(run.id, isActive(run.status)));
  if (!line) return null;
  const points = line.levels.map((level, place) => {
    const x = 1 + (place * (width - 2)) / (line.levels.length - 1);
    const y = 1 + ((highest - level) * (height - 2)) / highest;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const about = `Train loss from ${metric(line.first)} to ${metric(line.last)}`;
  return (
    <svg width={width} height={height} role="img" aria-label={about} className="sparkline">
      <title>{about}</title>
      <polyline points={points.join(" ")} />
    </svg>
  );
}
