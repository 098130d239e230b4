import type { Num, Series, SeriesList } from "@/api/types";
import type { TailEvent } from "@/features/run/live/metric-tail";
import { finitePoints, type MeanState, meanStateAfter, smoothOn } from "@/features/run/live/smoothing";

/** One metric as it is drawn: the history, reduced if it is long, and the points received since. */
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
  /** Number of points since the history was read. */
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
      list.items.map((one) => [
        one.name,
        meanStateAfter(one.smoothed?.at(-1), finitePoints(one.total_points, one.values), beta),
      ]),
    ),
  };
}

/** The curves with the stream's points appended, cut where a new attempt starts; the same set if there are none. */
export function withEvents(set: CurveSet, events: readonly TailEvent[], beta: number): CurveSet {
  const fresh = events.filter((event) => event.seq > set.lastSeq);
  if (fresh.length === 0) return set;
  const means = { ...set.means };
  const grown = new Map(set.curves.map((curve) => [curve.name, curve]));
  const mine = new Set<string>();
  const own = (name: string): CurveData => {
    const before = grown.get(name) ?? emptyCurve(name);
    if (mine.has(name)) return before;
    mine.add(name);
    const copy = {
      ...before,
      steps: [...before.steps],
      values: [...before.values],
      times: [...before.times],
      smoothed: [...before.smoothed],
    };
    grown.set(name, copy);
    return copy;
  };
  let added = set.added;
  for (const event of fresh) {
    if (event.kind === "status") {
      if (event.status !== "running" || event.step === undefined) continue;
      for (const [name, curve] of [...grown]) {
        if ((curve.steps.at(-1) ?? 0) <= event.step) continue;
        const left = own(name);
        cutCurve(left, event.step);
        means[name] = meanStateAfter(left.smoothed.at(-1), finitePoints(left.total, left.values), beta);
      }
      continue;
    }
    for (const [name, value] of Object.entries(event.values)) {
      const curve = own(name);
      curve.steps.push(event.step);
      curve.values.push(value);
      curve.times.push(event.time);
      curve.total += 1;
      added += 1;
      if (beta === 0) continue;
      const on = smoothOn(means[name] ?? { mean: 0, weight: 0 }, [value], beta);
      means[name] = on.state;
      curve.smoothed.push(on.smoothed[0] ?? Number.NaN);
    }
  }
  const lastSeq = fresh.at(-1)?.seq ?? set.lastSeq;
  const curves = [...grown.values()].filter((curve) => curve.steps.length > 0);
  return { curves, lastSeq, added, means };
}

/** Keeps the points up to a step. `curve` is changed in place. */
function cutCurve(curve: CurveData, step: number): void {
  const kept = curve.steps.findIndex((at) => at > step);
  curve.total -= curve.steps.length - kept;
  for (const list of [curve.steps, curve.values, curve.times]) list.length = kept;
  curve.smoothed.length = Math.min(kept, curve.smoothed.length);
}

/** The zoomed range of steps, both ends included, and the server's points in it. */
export interface Detail {
  from: number;
  to: number;
  series: Series;
}

/** The curve with its points in the range replaced by the exact ones. */
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

/** The steps between two places on the axis, with one more point at each end; `places` are ascending. */
export function stepRangeBetween(
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

/** The places of a curve's points on the axis: steps, minutes since the run started, or the share of all steps. */
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
