import { metric } from "@/components/text/format";

interface DeltaProps {
  value: number;
  than: number | null;
  /** Null: neither direction is better. */
  lowerIsBetter: boolean | null;
  text?: (difference: number) => string;
}

/** The difference to the baseline, below the value. */
export function Delta({ value, than, lowerIsBetter, text = metric }: DeltaProps) {
  if (than === null) return null;
  const difference = value - than;
  const isBetter = lowerIsBetter === null || difference === 0 ? null : difference < 0 === lowerIsBetter;
  const look = isBetter === null ? "delta" : isBetter ? "delta delta-better" : "delta delta-worse";
  return (
    <span className={look}>
      {difference > 0 ? "+" : difference < 0 ? "−" : "±"}
      {text(Math.abs(difference))}
    </span>
  );
}
