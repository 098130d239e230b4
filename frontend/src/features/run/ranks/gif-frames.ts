import type { Snapshot } from "@/api/snapshots";

export const mostGifFrames = 60;

/** Indices of at most `most` snapshots: first and last, then prunings, then others, both evenly spread. */
export function gifFrames(
  snapshots: readonly Pick<Snapshot, "pruning">[],
  most: number = mostGifFrames,
): number[] {
  const all = snapshots.map((_, index) => index);
  if (all.length <= most) return all;
  const ends = [0, all.length - 1];
  const prunings = all.slice(1, -1).filter((index) => snapshots[index]?.pruning);
  const chosen = new Set([...ends, ...spread(prunings, most - ends.length)]);
  const rest = all.filter((index) => !chosen.has(index));
  for (const index of spread(rest, most - chosen.size)) chosen.add(index);
  return [...chosen].sort((one, other) => one - other);
}

const spread = (places: readonly number[], most: number): number[] =>
  places.length <= most
    ? [...places]
    : Array.from(
        { length: Math.max(0, most) },
        (_, at) => places[Math.floor((at * places.length) / most)] ?? 0,
      );
