/** One series as the page keeps it: exact while it is short, reduced when it is long. */
import { toNumber } from "@/api/numbers";
import type { Num } from "@/api/types";
import { finitePoints, type MeanState, meanStateAfter, smoothOn } from "./smoothing";
import { binSize } from "./step-bins";

export interface Points {
  steps: number[];
  values: Num[];
  /** Number of points of the run; more than are kept if they are reduced. */
  total: number;
  isReduced: boolean;
  /** The mean over all points, at those that are kept; null for a series without smoothing. */
  smooth: { beta: number; values: number[]; state: MeanState } | null;
}

export const emptyPoints = (beta: number | null): Points => ({
  steps: [],
  values: [],
  total: 0,
  isReduced: false,
  smooth: beta === null ? null : { beta, values: [], state: { mean: 0, weight: 0 } },
});

/** A copy whose lists may be changed in place. */
export const copyPoints = (points: Points): Points => ({
  ...points,
  steps: [...points.steps],
  values: [...points.values],
  smooth: points.smooth && { ...points.smooth, values: [...points.smooth.values] },
});

/** More points than this are reduced while watching. */
export const mostPoints = 3000;
const bins = 400;

export function addPoint(points: Points, step: number, value: Num): void {
  points.steps.push(step);
  points.values.push(value);
  points.total += 1;
  if (points.smooth) {
    const { smoothed, state } = smoothOn(points.smooth.state, [value], points.smooth.beta);
    points.smooth.values.push(smoothed[0] ?? Number.NaN);
    points.smooth.state = state;
  }
  if (points.steps.length > mostPoints) reduce(points);
}

/** Keeps the points up to a step: a new attempt replaces the others. */
export function cutPoints(points: Points, step: number): void {
  const kept = points.steps.findIndex((at) => at > step);
  if (kept === -1) return;
  points.total -= points.steps.length - kept;
  points.steps.length = kept;
  points.values.length = kept;
  if (points.smooth) {
    points.smooth.values.length = kept;
    const finite = finitePoints(points.total, points.values);
    points.smooth.state = meanStateAfter(points.smooth.values.at(-1), finite, points.smooth.beta);
  }
}

/**
 * Keeps, for each of at most 400 equal bins of steps, the first and last point, the smallest and largest, and the first
 * and last that are not finite: at most 2,400 points, with every extreme.
 */
function reduce(points: Points): void {
  const { steps, values } = points;
  const length = binSize((steps.at(-1) ?? 0) - (steps[0] ?? 0), bins);
  const place = (index: number) => Math.floor((steps[index] ?? 0) / length);
  const kept: number[] = [];
  for (let start = 0; start < steps.length; ) {
    let end = start + 1;
    while (end < steps.length && place(end) === place(start)) end += 1;
    kept.push(...telling(values, start, end));
    start = end;
  }
  points.steps = kept.map((index) => steps[index] ?? 0);
  points.values = kept.map((index) => values[index] ?? 0);
  const { smooth } = points;
  if (smooth) smooth.values = kept.map((index) => smooth.values[index] ?? Number.NaN);
  points.isReduced = true;
}

/** The indices in start..end that a reduced curve needs, ascending. */
function telling(values: readonly Num[], start: number, end: number): number[] {
  let [low, high, firstBroken, lastBroken] = [-1, -1, -1, -1];
  for (let index = start; index < end; index++) {
    const value = at(values, index);
    if (!Number.isFinite(value)) {
      if (firstBroken === -1) firstBroken = index;
      lastBroken = index;
      continue;
    }
    if (low === -1 || value < at(values, low)) low = index;
    if (high === -1 || value > at(values, high)) high = index;
  }
  const chosen = new Set([start, low, high, firstBroken, lastBroken, end - 1]);
  chosen.delete(-1);
  return [...chosen].sort((one, other) => one - other);
}

const at = (values: readonly Num[], index: number): number => toNumber(values[index] ?? 0);
