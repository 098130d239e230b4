import { toNumber } from "@/api/numbers";
import type { Num } from "@/api/types";

/** State of an exponential mean, enough to continue without the earlier points. */
export interface MeanState {
  mean: number;
  /** Sum of the weights so far, by which the mean is corrected at the start (as Adam does). */
  weight: number;
}

/**
 * The state after `points` finite values whose corrected mean is `smoothed`.
 * The server smooths the whole history; the page continues from there with live points.
 */
export function meanStateAfter(smoothed: Num | undefined, points: number, beta: number): MeanState {
  const value = smoothed === undefined ? Number.NaN : toNumber(smoothed);
  if (!Number.isFinite(value)) return { mean: 0, weight: 0 };
  const weight = 1 - beta ** points;
  return { mean: value * weight, weight };
}

/** Number of finite values among `total` points; `shown` has at least all that are not finite. */
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
