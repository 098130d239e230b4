interface Stepped {
  step: number;
  pruning: boolean;
}

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

/** The snapshot whose step is nearest: where a click on a curve leads. -1 when there is none. */
export function nearestIndex(frames: readonly Stepped[], at: number): number {
  const before = frameIndexAt(frames, at);
  const [one, other] = [frames[before], frames[before + 1]];
  if (!one || !other) return before;
  return at - one.step <= other.step - at ? before : before + 1;
}

/**
 * The next pruning after (1) or before (-1) a snapshot; the end in that direction when there is none. Snapshots of a run
 * that never prunes are gone through one by one.
 */
export function nextPruning(frames: readonly Stepped[], from: number, direction: 1 | -1): number {
  if (!frames.some((frame) => frame.pruning))
    return Math.min(frames.length - 1, Math.max(0, from + direction));
  for (let index = from + direction; index >= 0 && index < frames.length; index += direction) {
    if (frames[index]?.pruning) return index;
  }
  return direction === 1 ? frames.length - 1 : 0;
}

/** The pruning before the one that a snapshot shows or follows; the start when there is none. -1 without snapshots. */
export function previousPruning(frames: readonly Stepped[], from: number): number {
  let index = from;
  while (index > 0 && !frames[index]?.pruning) index -= 1;
  return nextPruning(frames, index, -1);
}
