import { expect, test } from "vitest";
import { gifFrames } from "./gif-frames";

test("a GIF has both ends, then prunings, then others, sixty frames at most", () => {
  const snapshots = Array.from({ length: 500 }, (_, at) => ({ pruning: at % 20 === 19 }));
  const frames = gifFrames(snapshots);
  expect(frames).toHaveLength(60);
  expect(frames).toEqual(expect.arrayContaining([0, 499, 19, 39, 239, 459, 479]));
  expect(frames).toEqual([...frames].sort((one, other) => one - other));
  expect(gifFrames(snapshots.slice(0, 3))).toEqual([0, 1, 2]);
});
