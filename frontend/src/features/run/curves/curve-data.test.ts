import { expect, test } from "vitest";
import type { SeriesList } from "@/api/types";
import { MetricTail, type TailEvent } from "@/features/run/live/metric-tail";
import { recordedLives } from "@/features/run/live/recorded.fixture";
import { curveSet, placesOf, stepRangeBetween, withDetail, withEvents } from "./curve-data";

const list = (name: string, steps: number[], values: number[], lastSeq = 10): SeriesList => ({
  last_seq: lastSeq,
  items: [
    {
      name,
      steps,
      values,
      times: steps.map((step) => 1000 + step),
      smoothed: values,
      total_points: steps.length,
      is_reduced: false,
      ghosts: [],
      last_seq: lastSeq,
    } as SeriesList["items"][number],
  ],
});

const metrics = (seq: number, step: number, values: Record<string, number>): TailEvent => ({
  ...{ kind: "metrics", seq, attempt: 1, time: 1000 + step },
  ...{ step, values },
});

test("events of the stream are appended, and a new metric starts a curve", () => {
  const before = curveSet(list("loss", [1, 2], [3, 2]), 0.5);
  const known = metrics(10, 2, { loss: 2 });
  const set = withEvents(before, [known, metrics(11, 3, { loss: 1, accuracy: 0.5 })], 0.5);
  expect(set.curves.map((curve) => [curve.name, curve.steps])).toEqual([
    ["loss", [1, 2, 3]],
    ["accuracy", [3]],
  ]);
  expect(set.curves[0]?.smoothed).toHaveLength(3);
  expect(set).toMatchObject({ added: 2, lastSeq: 11 });
  expect(before.curves[0]?.steps).toEqual([1, 2]);
});

test("no new events return the same set", () => {
  const set = curveSet(list("loss", [1, 2], [3, 2]), 0.5);
  expect(withEvents(set, [metrics(10, 2, { loss: 2 })], 0.5)).toBe(set);
});

test.each(recordedLives)(
  "curves of a run that was $name grow with the stream to what the server has",
  (life) => {
    const every = [...life.histories.entries()];
    const [, end] = every.at(-1) as (typeof every)[number];
    const tail = new MetricTail(0);
    tail.push(life.events);
    for (const [, history] of every) {
      const set = withEvents(curveSet(history.series, 0), tail.since(history.series.last_seq) ?? [], 0);
      const drawn = Object.fromEntries(
        set.curves.map(({ name, steps, values }) => [name, { steps, values }]),
      );
      expect(drawn).toEqual(
        Object.fromEntries(end.series.items.map(({ name, steps, values }) => [name, { steps, values }])),
      );
    }
  },
);

test("a tail that has dropped the requested events says so", () => {
  const tail = new MetricTail(0);
  tail.push(Array.from({ length: 6000 }, (_, at) => metrics(at + 1, at, { loss: 1 })));
  expect(tail.since(100)).toBeNull();
  expect(tail.since(5990)).toHaveLength(10);
});

test("points are placed at steps, minutes or shares", () => {
  const curve = curveSet(list("loss", [30, 60], [3, 2]), 0).curves[0];
  if (!curve) throw new Error("no curve");
  const run = { startedAt: 1000, totalSteps: 120 };
  expect(placesOf(curve, "step", run)).toEqual([30, 60]);
  expect(placesOf(curve, "time", run)).toEqual([0.5, 1]);
  expect(placesOf(curve, "progress", run)).toEqual([0.25, 0.5]);
});

test("the zoomed range is drawn exactly, and the rest is unchanged", () => {
  const curve = curveSet(list("loss", [0, 10, 20, 30, 40], [9, 8, 7, 6, 5]), 0.5).curves[0];
  if (!curve) throw new Error("no curve");
  const range = stepRangeBetween(curve, curve.steps, [12, 27]);
  // One more point at each end, so that the lines continue to the edge.
  expect(range).toEqual({ from: 10, to: 30 });
  const series = list("loss", [10, 15, 20, 25, 30], [8, 1, 7, 2, 6]).items[0];
  if (!series || !range) throw new Error("no range");
  const exact = withDetail(curve, { ...range, series });
  expect(exact.steps).toEqual([0, 10, 15, 20, 25, 30, 40]);
  expect(exact.values).toEqual([9, 8, 1, 7, 2, 6, 5]);
  expect(exact.smoothed).toHaveLength(7);
  expect(exact.times).toHaveLength(7);
});

test("outside of the curve there is nothing to zoom to; up to its end there are the newest points", () => {
  const curve = curveSet(list("loss", [0, 10, 20], [3, 2, 1]), 0).curves[0];
  if (!curve) throw new Error("no curve");
  expect(stepRangeBetween(curve, curve.steps, [21, 30])).toBeNull();
  expect(stepRangeBetween(curve, [0, 0.5, 1], [0.6, 2])).toEqual({ from: 10, to: 20 });
});
