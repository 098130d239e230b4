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

/** Finite ones among `total` points, of which `shown` holds at least all that are not. */
export const finitePoints = (total: number, shown: readonly Num[]): number =>
  total - shown.filter((value) => !Number.isFinite(toNumber(value))).length;

/** The mean after each of `values`. One that is not finite repeats the mean before it, as on the server; NaN if there is none. */
export function smoothOn(
  state: MeanState,
  values: readonly Num[],
  beta: number,
): { smoothed: number[]; state: MeanState } {
  let { mean, weight } = state;
  const smoothed = values.map((raw) => {
    const value = toNumber(raw);
    if (!Number.isFinite(value)) return weight > 0 ? mean / weight : Number.NaN;
    mean = beta * mean + (1 - beta) * value;
    weight = beta * weight + (1 - beta);
    return mean / weight;
  });
  return { smoothed, state: { mean, weight } };
}
