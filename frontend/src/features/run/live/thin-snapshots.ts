import { binSize } from "./step-bins";

/** More snapshots than this are thinned while watching. */
export const mostSnapshots = 500;
const newestKept = 60;

/**
 * At most about 350 snapshots: the first, the newest sixty, at most 200 prunings, and the others evenly over the steps.
 *
 * It stays even when repeated, because what is kept depends on steps and not on positions in the list.
 */
export function thinSnapshots<T extends { step: number; pruning: boolean }>(snapshots: readonly T[]): T[] {
  const older = snapshots.slice(0, Math.max(1, snapshots.length - newestKept));
  const prunings = older.filter((one) => one.pruning);
  const kept = new Set<T>([
    ...older.slice(0, 1),
    ...evenly(prunings, 200),
    ...evenly(
      older.filter((one) => !one.pruning),
      Math.max(80, 280 - prunings.length),
    ),
  ]);
  return [...older.filter((one) => kept.has(one)), ...snapshots.slice(older.length)];
}

/** At most `most`, the first of each bin of steps; all if there are no more than that. */
function evenly<T extends { step: number }>(snapshots: readonly T[], most: number): T[] {
  if (snapshots.length <= most) return [...snapshots];
  const length = binSize((snapshots.at(-1)?.step ?? 0) - (snapshots[0]?.step ?? 0), most);
  let last = -1;
  return snapshots.filter(({ step }) => {
    const place = Math.floor(step / length);
    if (place === last) return false;
    last = place;
    return true;
  });
}
