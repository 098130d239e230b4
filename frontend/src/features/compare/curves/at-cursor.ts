import type { Num } from "@/api/types";

/** Index of the value of a curve at a position: the nearest point; null before the first or after the last one. */
export function indexAt(x: readonly number[], at: number): number | null {
  const [first, last] = [x[0], x.at(-1)];
  if (first === undefined || last === undefined) return null;
  // Live parameters fall, so the positions may be in either order.
  if (at < Math.min(first, last) || at > Math.max(first, last)) return null;
  const isRising = first <= last;
  let low = 0;
  let high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isRising ? (x[middle] ?? 0) < at : (x[middle] ?? 0) > at) low = middle + 1;
    else high = middle;
  }
  const before = Math.max(0, low - 1);
  return Math.abs((x[before] ?? 0) - at) < Math.abs((x[low] ?? 0) - at) ? before : low;
}

export interface CursorValue {
  value: Num;
  sd: Num | null;
}

/** The value at a position, or the last value if no position is given. */
export function valueAt(
  curve: { x: number[]; values: Num[]; sd: Num[] | null },
  at: number | null,
): CursorValue | null {
  const index = at === null ? curve.x.length - 1 : indexAt(curve.x, at);
  const value = index === null ? undefined : curve.values[index];
  return value === undefined || index === null ? null : { value, sd: curve.sd?.[index] ?? null };
}
