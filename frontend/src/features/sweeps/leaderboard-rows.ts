import type { SweepPoint } from "@/api/types";

/** Rows for a file: one per point, with the unrounded numbers. */
export const leaderboardRows = (points: readonly SweepPoint[], parameters: readonly string[]): object[] =>
  points.map((point) => ({
    rank: point.rank,
    point: point.point,
    status: point.status,
    ...Object.fromEntries(parameters.map((name) => [name, fileValue(point.values[name])])),
    mean: point.mean,
    sd: point.sd,
    median: point.median,
    min: point.min,
    max: point.max,
    n: point.n,
    trials: point.planned,
    runs: point.trials.flatMap(({ run_id }) => run_id ?? []).join(" "),
  }));

const fileValue = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : (value ?? null);
