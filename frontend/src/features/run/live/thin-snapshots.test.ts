import { expect, test } from "vitest";
import { mostSnapshots, thinSnapshots } from "./thin-snapshots";

const snapshots = (count: number, every: number) =>
  Array.from({ length: count }, (_, step) => ({ step, pruning: step % every === every - 1 }));

test("keeps the first, every pruning and the newest sixty", () => {
  const kept = thinSnapshots(snapshots(501, 10)).map((one) => one.step);
  const prunings = Array.from({ length: 50 }, (_, at) => 10 * at + 9);
  const newest = Array.from({ length: 60 }, (_, at) => 441 + at);
  expect(kept).toEqual(expect.arrayContaining([0, ...prunings, ...newest]));
  expect(kept.length).toBeLessThan(mostSnapshots * 0.75);
});

test("drops older ones evenly, however often it runs", () => {
  let kept: { step: number; pruning: boolean }[] = [];
  for (const one of snapshots(20_000, 100_000)) {
    kept.push(one);
    if (kept.length > mostSnapshots) kept = thinSnapshots(kept);
  }
  const gaps = kept.slice(1, -mostSnapshots / 2).map((one, index) => one.step - (kept[index]?.step ?? 0));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(4 * Math.min(...gaps.filter((gap) => gap > 1)));
});

test("bounds a run that has only prunings", () => {
  expect(thinSnapshots(snapshots(5000, 1)).length).toBeLessThan(mostSnapshots * 0.75);
});
