// @vitest-environment jsdom
/** A viewer must see what a reload shows, whatever happened to the run and to the connection. */
import { describe, expect, test } from "vitest";
import { arrivalOf } from "@/api/event-stream";
import type { RunEvent } from "@/api/types";
import { applyEvents, fromHistory, type History, type LiveRun } from "./live-run";
import { type RecordedLife, recordedLives } from "./recorded.fixture";

/** The state without the fields that depend on how it was reached. */
function seen(state: LiveRun) {
  const { prunings: _p, timeline: _t, cuts: _c, heardAt: _h, known: _k, ...rest } = state;
  return rest;
}

const isList = (value: object): value is ArrayLike<unknown> =>
  Array.isArray(value) || ArrayBuffer.isView(value);

/** The first difference, as a path; numbers may differ by their rounding. Null: none. */
function difference(one: unknown, other: unknown, path = ""): string | null {
  if (Object.is(one, other)) return null;
  if (typeof one === "number" && typeof other === "number") {
    const isClose = Math.abs(one - other) <= 1e-3 * Math.max(1e-6, Math.abs(other));
    return isClose ? null : `${path}: ${one}, but ${other} after a reload`;
  }
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null)
    return `${path}: ${String(one)}, but ${String(other)} after a reload`;
  if (isList(one) && isList(other)) {
    // Most of the state is long lists of numbers, whose names take longer to make than the comparison.
    for (let at = 0; at < Math.max(one.length, other.length); at++) {
      if (Object.is(one[at], other[at])) continue;
      const found = difference(one[at], other[at], `${path}.${at}`);
      if (found) return found;
    }
    return null;
  }
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  for (const name of names) {
    const found = difference(
      (one as Record<string, unknown>)[name],
      (other as Record<string, unknown>)[name],
      `${path}.${name}`,
    );
    if (found) return found;
  }
  return null;
}

/** Each history is compared with hundreds of states. */
const reloads = new Map<History, ReturnType<typeof seen>>();

function apart(state: LiveRun, history: History): string | null {
  const reload = reloads.get(history) ?? seen(fromHistory(history));
  reloads.set(history, reload);
  return difference(seen(state), reload);
}

/** The same numbers in every run of the test. */
function chanceFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const after = (life: RecordedLife, seq: number, to = Number.POSITIVE_INFINITY): RunEvent[] =>
  life.events.filter((event) => event.seq > seq && event.seq <= to);

const last = (life: RecordedLife): History => [...life.histories.values()].at(-1) as History;

test("the recordings cover every fault that a run may have", () => {
  const cuts = recordedLives.map((life) => {
    const starts = life.events.filter((event) => event.kind === "status" && event.status === "running");
    return [life.name, starts.length] as const;
  });
  expect(Object.fromEntries(cuts)).toMatchObject({
    normal: 1,
    "killed-and-resumed": 2,
    "interrupted-twice": 3,
    "resumed-earlier": 3,
    "stopped-and-resumed": 2,
    forked: 2,
  });
});

describe.each(recordedLives)("a run that was $name", (life) => {
  test("looks like after a reload at every event, wherever the page was opened", () => {
    for (const [from, history] of life.histories) {
      let state = fromHistory(history);
      for (const event of after(life, from)) {
        state = applyEvents(state, [event]);
        const reloaded = life.histories.get(event.seq);
        if (reloaded) expect(apart(state, reloaded), `opened at ${from}, at ${event.seq}`).toBeNull();
      }
      const atOnce = applyEvents(fromHistory(history), after(life, from));
      expect(apart(atOnce, last(life)), `opened at ${from}, all at once`).toBeNull();
    }
  });

  test("looks like after a reload when parts of the history are of different times", () => {
    const chance = chanceFrom(7);
    const every = [...life.histories.values()];
    const any = () => every[Math.floor(chance() * every.length)] as History;
    for (let round = 0; round < 200; round++) {
      const mixed = {
        run: any().run,
        ranks: any().ranks,
        series: any().series,
        smoothed: any().smoothed,
      };
      const start = fromHistory(mixed);
      const state = applyEvents(start, after(life, start.lastSeq));
      expect(apart(state, last(life)), `round ${round}`).toBeNull();
    }
  });

  test("looks like after a reload when the stream breaks, repeats and omits events", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const chance = chanceFrom(seed);
      const positions = [...life.histories.keys()];
      const from = positions[Math.floor(chance() * positions.length)] as number;
      let state = fromHistory(life.histories.get(from) as History);
      let lastSeq = state.lastSeq;
      let turns = 0;
      while (lastSeq < life.events.length) {
        turns += 1;
        expect(turns).toBeLessThan(10_000);
        // A connection starts at the page's position, or repeats some events, and breaks anywhere.
        const start = Math.max(0, lastSeq - Math.floor(chance() * 6));
        const sent = after(life, start, start + 1 + Math.floor(chance() * 12)).filter(() => chance() > 0.05);
        // A late event of an older attempt.
        if (chance() < 0.3) sent.push(life.events[Math.floor(chance() * lastSeq)] as RunEvent);
        for (const event of sent) {
          const arrival = arrivalOf(event.seq, lastSeq);
          if (arrival === "gap") break;
          if (arrival === "known") continue;
          lastSeq = event.seq;
          state = applyEvents(state, [event]);
        }
      }
      expect(apart(state, last(life)), `seed ${seed}`).toBeNull();
    }
  });
});

test("an unknown kind of event changes only the position", () => {
  const life = recordedLives[0] as RecordedLife;
  const before = fromHistory(last(life));
  const unknown = { kind: "tea", seq: before.lastSeq + 1, attempt: 1, time: 1 } as unknown as RunEvent;
  const state = applyEvents(before, [unknown]);
  expect(seen(state)).toEqual({ ...seen(before), lastSeq: before.lastSeq + 1 });
});
