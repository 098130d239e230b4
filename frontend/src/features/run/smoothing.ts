import { toNumber } from "@/api/numbers";
import type { Num } from "@/api/types";

/** Where an exponential mean stands: enough to go on without the points before. */
export interface MeanState {
  mean: number;
  /** Sum of the weights so far, by which the mean is corrected at the start (as Adam does). */
  weight: number;
}

/**
 * The state after `points` finite values whose corrected mean is `smoothed`.
 * The server smooths the whole history; the page goes on from there with what comes live.
 */
export function meanStateAfter(smoothed: Num | undefined, points: number, beta: number): MeanState {
  const value = smoothed === undefined ? Number.NaN : toNumber(smoothed);
  if (!Number.isFinite(value)) return { mean: 0, weight: 0 };
  const weight = 1 - beta ** points;
  return { mean: value * weight, weight };
}

/** The mean after each of `values`; NaN where a value is none, which leaves the state as it is. */
export function smoothOn(
  state: MeanState,
  values: readonly Num[],
  beta: number,
): { smoothed: number[]; state: MeanState } {
  let { mean, weight } = state;
  const smoothed = values.map((raw) => {
    const value = toNumber(raw);
    if (!Number.isFinite(value)) return Number.NaN;
    mean = beta * mean + (1 - beta) * value;
    weight = beta * weight + (1 - beta);
    return mean / weight;
  });
  return { smoothed, state: { mean, weight } };
}
