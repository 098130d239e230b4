interface Stepped {
  step: number;
  pruning: boolean;
}

/** Index of the newest snapshot at a step, or of the newest of all for null; -1 if there are none. */
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

/** Index of the snapshot nearest to a step, for clicks on a curve; -1 if there are none. */
export function nearestIndex(frames: readonly Stepped[], at: number): number {
  const before = frameIndexAt(frames, at);
  const [one, other] = [frames[before], frames[before + 1]];
  if (!one || !other) return before;
  return at - one.step <= other.step - at ? before : before + 1;
}

/**
 * Index of the next pruning after (1) or before (-1) a snapshot, or the end in that direction. In a run that never
 * prunes, the adjacent snapshot.
 */
export function nextPruning(frames: readonly Stepped[], from: number, direction: 1 | -1): number {
  if (!frames.some((frame) => frame.pruning))
    return Math.min(frames.length - 1, Math.max(0, from + direction));
  for (let index = from + direction; index >= 0 && index < frames.length; index += direction) {
    if (frames[index]?.pruning) return index;
  }
  return direction === 1 ? frames.length - 1 : 0;
}

/** Index of the pruning before the one that a snapshot shows or follows, or 0; -1 if there are no snapshots. */
export function previousPruning(frames: readonly Stepped[], from: number): number {
  let index = from;
  while (index > 0 && !frames[index]?.pruning) index -= 1;
  return nextPruning(frames, index, -1);
}
