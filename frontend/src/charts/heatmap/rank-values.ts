import type { ModuleLevels } from "@/api/packed";

/** What the colour of a module stands for. */
export const colourings = ["rank", "mean", "max", "sum", "change", "difference"] as const;
export type Colouring = (typeof colourings)[number];

/** Of one snapshot, with the two that it is compared to. */
export interface RankView {
  levels: ModuleLevels;
  /** Ranks at the first snapshot. */
  start: ArrayLike<number>;
  /** Ranks before the last pruning. */
  before: ArrayLike<number>;
}

interface Meaning {
  title: string;
  /** Beside the scale. */
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
    note: "Mean smoothed score of a module's live components.",
  },
  max: {
    title: "Largest importance by module",
    unit: "importance",
    isSigned: false,
    isScore: true,
    note: "Largest smoothed score of a module's live components.",
  },
  sum: {
    title: "Summed importance by module",
    unit: "importance",
    isSigned: false,
    isScore: true,
    note: "Sum of the smoothed scores of a module's live components.",
  },
  change: {
    title: "Change of rank since the start",
    unit: "change",
    isSigned: true,
    isScore: false,
    note: "Live components more (+) or less (−) than at the first snapshot.",
  },
  difference: {
    title: "Change by the last pruning",
    unit: "change",
    isSigned: true,
    isScore: false,
    note: "Live components more (+) or less (−) than at the pruning before.",
  },
};

/** The number behind a module's colour; NaN when a score is, null when it has no live component to score. */
export function colourValue(view: RankView, colouring: Colouring, module: number): number | null {
  const { ranks, mean, max } = view.levels;
  const rank = ranks[module] ?? 0;
  switch (colouring) {
    case "rank":
      return rank;
    case "change":
      return rank - (view.start[module] ?? rank);
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

/** As it stands in a cell. */
export function valueText(value: number | null, colouring: Colouring): string {
  if (value === null) return "no component";
  const { isSigned, isScore } = meanings[colouring];
  return isScore ? importanceText(value) : isSigned ? signed(value) : String(value);
}

/** +2, −3, 0: the sign is told by more than the colour. */
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
