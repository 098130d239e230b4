// @vitest-environment jsdom
import { describe, expect, test } from "vitest";
import type { RunDetail, RunEvent, Series } from "@/api/types";
import { applyEvents, fromHistory, type LiveRun, reduceLive } from "./live-run";
import { mostPoints } from "./points";
import { mostSnapshots } from "./thin-snapshots";

const detail = (last_seq: number, more: Partial<RunDetail> = {}): RunDetail =>
  ({
    status: "running",
    phase: "training",
    step: 0,
    total_steps: 100,
    attempt: 1,
    modules: [],
    width: 4,
    last_seq,
    ...more,
  }) as RunDetail;

const series = (name: string, steps: number[], values: Series["values"]): Series => ({
  name,
  steps,
  values,
  total_points: steps.length,
  is_reduced: false,
  ghosts: [],
});

/** A run as the history shows it; `seqs`: up to which event its parts go. */
const start = (
  last_seq = 0,
  more: { steps?: number[]; series?: Series[] } = {},
  seqs: { ranks?: number; series?: number } = {},
): LiveRun => {
  const steps = more.steps ?? [];
  return fromHistory({
    run: detail(last_seq),
    ranks: {
      modules: [],
      width: 4,
      steps,
      attempts: steps.map(() => 1),
      budget: steps.map(() => 8),
      live: steps.map(() => 8),
      threshold: steps.map(() => null),
      pruning: steps.map(() => false),
      final: steps.map(() => false),
      ranks: "",
      importance_mean: "",
      importance_max: "",
      total_frames: steps.length,
      is_reduced: false,
      last_seq: seqs.ranks ?? last_seq,
    },
    series: { items: more.series ?? [], last_seq: seqs.series ?? last_seq },
    smoothed: {
      items: (more.series ?? []).filter((one) => one.name === "train_loss"),
      last_seq: seqs.series ?? last_seq,
    },
  });
};

type Loose = { kind: RunEvent["kind"] } & Record<string, unknown>;
const event = (seq: number, body: Loose, attempt = 1) =>
  ({ seq, attempt, time: seq, ...body }) as unknown as RunEvent;
const loss = (seq: number, step: number, value: number | string) =>
  event(seq, { kind: "metrics", step, values: { train_loss: value } });
const ranks = (seq: number, step: number, more = {}) =>
  event(seq, {
    kind: "ranks",
    step,
    budget: 8,
    live: 8,
    modules: 0,
    width: 4,
    mask: "",
    scores: "",
    ...more,
  });

describe("a reader of a run", () => {
  test("applies every event once, however often it is sent", () => {
    const events = [loss(1, 1, 0.9), loss(2, 2, 0.8), loss(3, 3, 0.7)];
    let state = applyEvents(start(), events.slice(0, 2));
    state = applyEvents(state, events);
    state = applyEvents(state, events);
    expect(state.series["train_loss"]).toMatchObject({ steps: [1, 2, 3], values: [0.9, 0.8, 0.7], total: 3 });
    expect(state.lastSeq).toBe(3);
  });

  test("gets the same state from one batch as from many", () => {
    const events = [
      event(1, { kind: "status", status: "starting" }),
      event(2, { kind: "modules", modules: [], width: 6, trained_parameters: 10, total_steps: 50 }),
      ranks(3, 0),
      loss(4, 1, 0.5),
      event(5, { kind: "status", status: "running", step: 0 }, 2),
      loss(6, 1, 0.4),
    ];
    const atOnce = applyEvents(start(), events);
    const oneByOne = events.reduce((state, one) => applyEvents(state, [one]), start());
    expect(oneByOne).toEqual(atOnce);
  });

  test("does not mutate the given state", () => {
    const before = start(2, { series: [series("train_loss", [1], [0.9])] });
    const copy = structuredClone(before);
    applyEvents(before, [loss(3, 2, 0.8), ranks(4, 2)]);
    expect(before).toEqual(copy);
  });

  test("returns the same object when there is nothing new", () => {
    const state = start(5);
    expect(applyEvents(state, [loss(4, 1, 1)])).toBe(state);
  });

  test("applies nothing twice when parts of the history are newer than others", () => {
    // The run was read at event 10, the loss at 12, the ranks at 13: the stream continues after 10.
    const state = start(
      10,
      { series: [series("train_loss", [1, 2], [0.9, 0.8])], steps: [2] },
      { series: 12, ranks: 13 },
    );
    expect(state.lastSeq).toBe(10);
    const next = applyEvents(state, [
      loss(12, 2, 0.8),
      ranks(13, 2),
      event(14, { kind: "metrics", step: 3, values: { train_loss: 0.7, dem: 1 } }),
      ranks(15, 3),
    ]);
    expect(next.series["train_loss"]?.steps).toEqual([1, 2, 3]);
    expect(next.series["dem"]?.steps).toEqual([3]);
    expect(next.snapshots.map((one) => one.step)).toEqual([2, 3]);
    expect(next.totalSnapshots).toBe(2);
  });

  test("keeps numbers that are not finite", () => {
    expect(
      applyEvents(start(), [loss(1, 1, "NaN"), loss(2, 2, "Infinity")]).series["train_loss"]?.values,
    ).toEqual(["NaN", "Infinity"]);
  });
});

describe("a new attempt", () => {
  test("replaces what older attempts recorded after the step that it starts from", () => {
    const state = applyEvents(start(), [
      loss(1, 1, 0.9),
      ranks(2, 1),
      loss(3, 2, 0.8),
      ranks(4, 2),
      loss(5, 3, 0.7),
    ]);
    const next = applyEvents(state, [
      event(6, { kind: "status", status: "running", step: 1 }, 2),
      loss(7, 2, 0.6),
    ]);
    expect(next.series["train_loss"]).toMatchObject({ steps: [1, 2], values: [0.9, 0.6], total: 2 });
    expect(next.snapshots.map((one) => one.step)).toEqual([1]);
    expect(next).toMatchObject({ attempt: 2, status: "running", step: 1 + 1, totalSnapshots: 1 });
  });

  test("replaces nothing before it says where it starts", () => {
    const state = applyEvents(start(), [
      loss(1, 1, 0.9),
      event(2, { kind: "status", status: "starting" }, 2),
    ]);
    expect(state.series["train_loss"]?.steps).toEqual([1]);
  });

  test("does not cut a series that was read after it had started", () => {
    const state = start(5, { series: [series("train_loss", [1, 2, 3], [0.9, 0.6, 0.5])] }, { series: 9 });
    const next = applyEvents(state, [
      event(6, { kind: "status", status: "running", step: 1 }, 2),
      loss(7, 2, 0.6),
    ]);
    expect(next.series["train_loss"]?.steps).toEqual([1, 2, 3]);
  });

  test("may repeat the snapshot of its first step: the newer one is kept", () => {
    const state = applyEvents(start(), [ranks(1, 5, { live: 8 }), ranks(2, 5, { live: 7 })]);
    expect(state.snapshots.map((one) => one.live)).toEqual([7]);
    expect(state.totalSnapshots).toBe(1);
  });

  test("makes a thinned history stale, because the page does not know how much of it is left", () => {
    const long = Array.from({ length: mostPoints + 1 }, (_, at) => loss(at + 1, at + 1, 1));
    const state = applyEvents(start(), long);
    expect(state.isHistoryStale).toBe(false);
    const next = applyEvents(state, [
      event(long.length + 1, { kind: "status", status: "running", step: 900 }, 2),
    ]);
    expect(next.isHistoryStale).toBe(true);
    expect(next.series["train_loss"]?.steps.every((step) => step <= 900)).toBe(true);
  });
});

test("the status is the latest from the server, even if it is unexpected", () => {
  const state = applyEvents(start(), [
    event(1, { kind: "status", status: "done" }),
    event(2, { kind: "status", status: "queued" }),
  ]);
  expect(state.status).toBe("queued");
});

test("events before the history change nothing", () => {
  expect(reduceLive(null, { type: "events", events: [loss(1, 1, 1)] })).toBeNull();
});

describe("eight hours of watching", () => {
  test("leave the page with a bounded number of snapshots and points, and no packed components", () => {
    const base64 = (bytes: number[]) => btoa(String.fromCharCode(...bytes));
    let state = start();
    for (let step = 1; step <= 40_000; step += 500) {
      const events = Array.from({ length: 500 }, (_, at) => [
        loss(2 * (step + at), step + at, 1),
        ranks(2 * (step + at) + 1, step + at, {
          modules: 1,
          mask: base64([0b0111]),
          scores: base64([0, 0x3c, 0, 0x3c, 0, 0x3c, 0, 0]),
          pruning: (step + at) % 20 === 0,
        }),
      ]).flat();
      state = applyEvents(state, events);
    }
    expect(state.snapshots.length).toBeLessThanOrEqual(mostSnapshots);
    expect(state.series["train_loss"]?.steps.length).toBeLessThanOrEqual(mostPoints);
    expect(state).toMatchObject({ totalSnapshots: 40_000, step: 40_000 });
    expect(state.series["train_loss"]?.total).toBe(40_000);
    expect(state.snapshots.at(-1)).toMatchObject({ step: 40_000, ranks: new Uint16Array([3]) });
    expect(Object.values(state.snapshots[0] ?? {}).some((value) => typeof value === "string")).toBe(false);
  });
});
