import type { ModuleLevels } from "@/api/packed";

/** What the colour of a module shows. */
export const colourings = ["rank", "mean", "max", "sum", "change", "difference"] as const;
/** `between`: the rank minus that of another run, which the view has as `before`. */
export type Colouring = (typeof colourings)[number] | "between";

/** A snapshot, with the ranks that it is compared to. */
export interface RankView {
  levels: ModuleLevels;
  /** Ranks at the first snapshot. */
  start: ArrayLike<number>;
  /** Ranks before the last pruning. */
  before: ArrayLike<number>;
}

interface Meaning {
  title: string;
  /** Title of the scale. */
  unit: string;
  isSigned: boolean;
  isScore: boolean;
  note: string;
}

export const meanings: Record<Colouring, Meaning> = {
  rank: {
    title: "Rank of each module",
    unit: "rank",
    isSigned: false,
    isScore: false,
    note: "Live components.",
  },
  mean: {
    title: "Mean importance by module",
    unit: "importance",
    isSigned: false,
    isScore: true,
    note: "Mean score of a module's live components.",
  },
  max: {
    title: "Largest importance by module",
    unit: "importance",
    isSigned: false,
    isScore: true,
    note: "Largest score of a module's live components.",
  },
  sum: {
    title: "Summed importance by module",
    unit: "importance",
    isSigned: false,
    isScore: true,
    note: "Sum of the scores of a module's live components.",
  },
  change: {
    title: "Change in rank since the start",
    unit: "change",
    isSigned: true,
    isScore: false,
    note: "Live components gained (+) or lost (−) since the first snapshot.",
  },
  difference: {
    title: "Change in the last pruning",
    unit: "change",
    isSigned: true,
    isScore: false,
    note: "Live components gained (+) or lost (−) since the previous pruning.",
  },
  between: {
    title: "Difference in rank, A − B",
    unit: "A − B",
    isSigned: true,
    isScore: false,
    note: "Live components that A has more (+) or fewer (−) than B.",
  },
};

/** The number behind a module's colour; NaN if a score is NaN, null without live components. */
export function colourValue(view: RankView, colouring: Colouring, module: number): number | null {
  const { ranks, mean, max } = view.levels;
  const rank = ranks[module] ?? 0;
  switch (colouring) {
    case "rank":
      return rank;
    case "change":
      return rank - (view.start[module] ?? rank);
    case "between":
    case "difference":
      return rank - (view.before[module] ?? rank);
    case "mean":
      return rank ? (mean[module] ?? 0) : null;
    case "max":
      return rank ? (max[module] ?? 0) : null;
    case "sum":
      return rank ? rank * (mean[module] ?? 0) : null;
  }
}

/** The value as a cell shows it. */
export function valueText(value: number | null, colouring: Colouring): string {
  if (value === null) return "no live components";
  const { isSigned, isScore } = meanings[colouring];
  return isScore ? importanceText(value) : isSigned ? signed(value) : String(value);
}

/** +2, −3, 0: the sign does not depend on colour alone. */
export const signed = (value: number): string =>
  value > 0 ? `+${value}` : value < 0 ? `−${-value}` : String(value);

export const importanceText = (value: number): string =>
  !Number.isFinite(value)
    ? String(value)
    : value === 0
      ? "0"
      : value < 0.001
        ? value.toExponential(0)
        : value.toPrecision(2);
