/** The rows of the table of results: a row per group, with differences to the baseline. */
import type { Comparison, MetricInfo } from "@/api/types";
import { metric } from "@/components/text/format";
import type { Group } from "@/features/compare/view/looks";

type Verdict = Comparison["best"][number];

/** How a value differs from the baseline's. */
export interface Delta {
  difference: number;
  /** null: equal, or for a number that is neither good nor bad. */
  isBetter: boolean | null;
}

export function deltaTo(
  value: number | null | undefined,
  base: number | null | undefined,
  lowerIsBetter: boolean | null,
): Delta | null {
  if (value === null || value === undefined || base === null || base === undefined) return null;
  const difference = value - base;
  return {
    difference,
    isBetter: difference === 0 || lowerIsBetter === null ? null : difference < 0 === lowerIsBetter,
  };
}

/** +0.0123, −0.0040, ±0 */
export const signedMetric = (difference: number): string =>
  difference === 0 ? "±0" : `${difference > 0 ? "+" : "−"}${metric(Math.abs(difference))}`;

/** The mean over the runs of a group that have a value; null if none has one. */
export function meanOf(group: Group, numberOf: (runId: string) => number | null | undefined): number | null {
  const values = group.run_ids.map(numberOf).filter((value) => typeof value === "number");
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

export interface GroupNumbers {
  kept: number | null;
  live: number | null;
  meanRank: number | null;
  trained: number | null;
  memory: number | null;
}

export function numbersOf(group: Group, { runs, costs }: Comparison): GroupNumbers {
  const run = (id: string) => runs.find((one) => one.id === id);
  const cost = (id: string) => costs.find((one) => one.run_id === id);
  return {
    kept: meanOf(group, (id) => cost(id)?.kept_parameters),
    live: meanOf(group, (id) => cost(id)?.live_parameters),
    meanRank: meanOf(group, (id) => run(id)?.mean_rank),
    trained: meanOf(group, (id) => cost(id)?.trained_s),
    memory: meanOf(group, (id) => cost(id)?.peak_memory_bytes),
  };
}

/** The table as rows for a file. */
export function resultRows(
  comparison: Comparison,
  verdicts: readonly Verdict[],
  baseline: number,
  infoOf: (name: string) => MetricInfo,
): object[] {
  return comparison.groups.map((group, index) => {
    const numbers = numbersOf(group, comparison);
    const row: Record<string, unknown> = {
      name: group.name,
      runs: group.run_ids.join(" "),
      seeds: group.seeds.join(" "),
    };
    for (const verdict of verdicts) {
      const [own, base] = [verdict.groups[index], verdict.groups[baseline]];
      row[verdict.name] = own?.mean ?? null;
      row[`${verdict.name}_sd`] = own?.sd ?? null;
      row[`${verdict.name}_n`] = own?.n ?? 0;
      row[`${verdict.name}_difference`] =
        deltaTo(own?.mean, base?.mean, infoOf(verdict.name).lower_is_better)?.difference ?? null;
      row[`${verdict.name}_winner`] = verdict.winner === index;
    }
    return {
      ...row,
      kept_parameters: numbers.kept,
      live_parameters: numbers.live,
      mean_rank: numbers.meanRank,
      trained_s: numbers.trained,
      peak_memory_bytes: numbers.memory,
    };
  });
}
