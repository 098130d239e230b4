import type { Num, Series, SeriesList } from "@/api/types";
import { type MeanState, meanStateAfter, smoothOn } from "./smoothing";

/** One metric as it is drawn: the whole history, reduced where it is long, and what has come since. */
export interface CurveData {
  name: string;
  steps: number[];
  values: Num[];
  /** Seconds since 1970. */
  times: number[];
  smoothed: Num[];
  total: number;
  isReduced: boolean;
  ghosts: Series["ghosts"];
}

export interface CurveSet {
  curves: CurveData[];
  lastSeq: number;
  /** How many points have come since the history was read. */
  added: number;
  means: Record<string, MeanState>;
}

export function curveSet(list: SeriesList, beta: number): CurveSet {
  return {
    curves: list.items.map((one) => ({
      name: one.name,
      steps: one.steps,
      values: one.values,
      times: one.times ?? [],
      smoothed: one.smoothed ?? [],
      total: one.total_points,
      isReduced: one.is_reduced,
      ghosts: one.ghosts,
    })),
    lastSeq: list.last_seq,
    added: 0,
    means: Object.fromEntries(
      list.items.map((one) => [one.name, meanStateAfter(one.smoothed?.at(-1), one.total_points, beta)]),
    ),
  };
}

/** The newest step of any curve: more may come of it, an evaluation for example. */
export const newestStep = (set: CurveSet): number =>
  Math.max(0, ...set.curves.map((curve) => curve.steps.at(-1) ?? 0));

/** The curves with what is newer at their ends; a metric that is new begins. */
export function withLater(set: CurveSet, later: SeriesList, beta: number): CurveSet {
  const means = { ...set.means };
  let added = set.added;
  const grown = new Map(set.curves.map((curve) => [curve.name, curve]));
  for (const one of later.items) {
    const before = grown.get(one.name) ?? emptyCurve(one.name);
    const times = one.times ?? [];
    // The newest step is asked for again; its points that are there already are told by their time.
    const last = before.times.at(-1) ?? Number.NEGATIVE_INFINITY;
    const first = times.findIndex((time) => time > last);
    if (first === -1) continue;
    const values = one.values.slice(first);
    const on = smoothOn(means[one.name] ?? { mean: 0, weight: 0 }, values, beta);
    means[one.name] = on.state;
    added += values.length;
    grown.set(one.name, {
      ...before,
      steps: [...before.steps, ...one.steps.slice(first)],
      values: [...before.values, ...values],
      times: [...before.times, ...times.slice(first)],
      smoothed: beta > 0 ? [...before.smoothed, ...on.smoothed] : [],
      total: before.total + values.length,
    });
  }
  return { curves: [...grown.values()], lastSeq: later.last_seq, added, means };
}

/** Steps a person has zoomed to, both ends included, and what the server has there. */
export interface Detail {
  from: number;
  to: number;
  series: Series;
}

/** The curve with what is known exactly in place of what it has between the same steps. */
export function withDetail(curve: CurveData, { from, to, series }: Detail): CurveData {
  const before = curve.steps.findIndex((step) => step >= from);
  const start = before === -1 ? curve.steps.length : before;
  const after = curve.steps.findIndex((step) => step > to);
  const end = after === -1 ? curve.steps.length : after;
  const spliced = <T>(list: readonly T[], inside: readonly T[]) => [
    ...list.slice(0, start),
    ...inside,
    ...list.slice(end),
  ];
  return {
    ...curve,
    steps: spliced(curve.steps, series.steps),
    values: spliced(curve.values, series.values),
    times: spliced(curve.times, series.times ?? []),
    smoothed: curve.smoothed.length ? spliced(curve.smoothed, series.smoothed ?? []) : [],
  };
}

/** The steps that lie between two places on the axis, with one point more at each end; `places` rise. */
export function stretchBetween(
  curve: CurveData,
  places: readonly number[],
  [low, high]: readonly [number, number],
): { from: number; to: number } | null {
  const first = places.findIndex((place) => place >= low);
  if (first === -1) return null;
  const beyond = places.findIndex((place) => place > high);
  const last = beyond === -1 ? places.length - 1 : beyond;
  const from = curve.steps[Math.max(0, first - 1)];
  const to = curve.steps[last];
  return from === undefined || to === undefined || to <= from ? null : { from, to };
}

const emptyCurve = (name: string): CurveData => ({
  name,
  steps: [],
  values: [],
  times: [],
  smoothed: [],
  total: 0,
  isReduced: false,
  ghosts: [],
});

export type CurveAxis = "step" | "time" | "progress";

/** Where the points of a curve stand on the axis: steps, minutes since the run began, or the share of all steps. */
export function placesOf(
  curve: CurveData,
  axis: CurveAxis,
  { startedAt, totalSteps }: { startedAt: number | null; totalSteps: number | null },
): number[] {
  if (axis === "time") {
    const from = startedAt ?? curve.times[0] ?? 0;
    return curve.times.map((time) => (time - from) / 60);
  }
  if (axis === "progress" && totalSteps) return curve.steps.map((step) => step / totalSteps);
  return curve.steps;
}
