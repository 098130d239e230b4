import { expect, test } from "vitest";
import type { Relative } from "@/api/types";
import { treeLines } from "./tree";

const run = (id: string, parent: string | null) => ({ id, parent_id: parent }) as Relative;

test("each run is below its parent, and one whose parent was deleted is at the top", () => {
  const lines = treeLines([run("a", "gone"), run("b", "a"), run("c", "a"), run("d", "b")]);
  expect(lines.map(({ run: one, depth }) => `${"-".repeat(depth)}${one.id}`)).toEqual([
    "a",
    "-b",
    "--d",
    "-c",
  ]);
});
