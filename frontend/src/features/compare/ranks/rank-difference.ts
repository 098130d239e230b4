/** The ranks of two runs at the positions of the API, as arrays. */
import { unpackUint16 } from "@/api/packed";
import type { Module, RankDifference } from "@/api/types";
import { signed } from "@/charts/heatmap/rank-values";
import { plainText } from "@/charts/plot/plain-text";

/** Value of a rank if the run doesn't adapt the module. */
export const notAdapted = 65_535;

export interface Unpacked {
  a: Uint16Array[];
  b: Uint16Array[];
}

export function unpack(of: RankDifference): Unpacked {
  const count = of.modules.length;
  const split = (packed: string) => {
    const all = unpackUint16(packed, of.positions.length * count);
    return of.positions.map((_, index) => all.subarray(index * count, (index + 1) * count));
  };
  return { a: split(of.ranks_a), b: split(of.ranks_b) };
}

export interface ModuleDifference {
  module: Module;
  index: number;
  /** null: not adapted. */
  a: number | null;
  b: number | null;
  difference: number | null;
}

const rankOf = (ranks: Uint16Array, index: number): number | null => {
  const rank = ranks[index] ?? notAdapted;
  return rank === notAdapted ? null : rank;
};

/** The largest differences first; modules that only one run adapts come last. */
export function moduleDifferences(
  modules: readonly Module[],
  a: Uint16Array,
  b: Uint16Array,
): ModuleDifference[] {
  const size = ({ difference }: ModuleDifference) => (difference === null ? -1 : Math.abs(difference));
  return modules
    .map((module, index): ModuleDifference => {
      const [own, other] = [rankOf(a, index), rankOf(b, index)];
      return {
        module,
        index,
        a: own,
        b: other,
        difference: own === null || other === null ? null : own - other,
      };
    })
    .sort((one, other) => size(other) - size(one) || one.index - other.index);
}

export const rankText = (rank: number | null): string => (rank === null ? "not adapted" : String(rank));

/** Text at the pointer in all three heatmaps. */
export function differenceHover(module: Module, a: number | null, b: number | null): string {
  const difference = a === null || b === null ? "" : `<br>A − B ${signed(a - b)}`;
  return `<b>${plainText(module.name)}</b><br>A ${rankText(a)}, B ${rankText(b)}${difference}`;
}

/** Index of the position nearest to `at`, or of the last one if `at` is null. */
export function nearest(positions: readonly number[], at: number | null): number {
  if (at === null) return positions.length - 1;
  let best = 0;
  positions.forEach((position, index) => {
    if (Math.abs(position - at) < Math.abs((positions[best] ?? 0) - at)) best = index;
  });
  return best;
}
