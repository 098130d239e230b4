import type { ModuleFrame } from "@/api/packed";

type Stepped = Pick<ModuleFrame, "step" | "pruning">;

/** The snapshot that was newest at a step; null: the newest of all. -1 when there is none. */
export function frameIndexAt(frames: readonly Stepped[], at: number | null): number {
  if (at === null) return frames.length - 1;
  let low = 0;
  let high = frames.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((frames[middle]?.step ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return frames.length ? low : -1;
}

/** The next pruning after (1) or before (-1) a snapshot; the end in that direction when there is none. */
export function nextPruning(frames: readonly Stepped[], from: number, direction: 1 | -1): number {
  for (let index = from + direction; index >= 0 && index < frames.length; index += direction) {
    if (frames[index]?.pruning) return index;
  }
  return direction === 1 ? frames.length - 1 : 0;
}
