import { expect, test } from "vitest";
import type { Relative } from "@/api/types";
import { forkMarks, mostChildren, relatedRuns } from "./related-runs";

const run = (id: string, parent_id: string | null = null, parent_step: number | null = null): Relative => ({
  ...{ id, parent_id, parent_step },
  ...{ name: id, status: "done", attempt: 1, step: 100, total_steps: 100, metrics: {} },
  headline: {
    name: "eval_score",
    title: "score",
    lower_is_better: false,
    best: null,
    best_step: null,
    last: null,
  },
});

test("ancestors are shown up to the fork, children in full", () => {
  const runs = [run("root"), run("parent", "root", 60), run("me", "parent", 40), run("mine", "me", 80)];
  // What the parent did after step 40 is not part of this run.
  expect(relatedRuns(runs, "me").map((one) => [one.run.id, one.upTo])).toEqual([
    ["parent", 40],
    ["root", 40],
    ["mine", null],
  ]);
  expect(relatedRuns(runs, "root").map((one) => [one.run.id, one.upTo])).toEqual([["parent", null]]);
});

test("a deleted parent ends the ancestors, and of many children the newest are kept", () => {
  const children = Array.from({ length: mostChildren + 2 }, (_, index) => run(`c${index}`, "me", index));
  const ids = relatedRuns([run("me", "gone", 5), ...children], "me").map((one) => one.run.id);
  expect(ids).toEqual(children.slice(2).map((one) => one.id));
});

test("marks show where this run started, and how many runs were forked at a step", () => {
  const runs = [
    run("root"),
    run("me", "root", 10),
    run("a", "me", 20),
    run("b", "me", 20),
    run("c", "me", 30),
  ];
  expect(forkMarks(runs, "me")).toEqual([
    { step: 10, text: "forked here" },
    { step: 20, text: "2 forks" },
    { step: 30, text: "fork" },
  ]);
});
