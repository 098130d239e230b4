import type { Snapshot } from "@/api/snapshots";
import { type Colouring, colourValue, meanings } from "@/charts/rank-values";
import { previousPruning } from "./frames";

/** The end of the colour scale over the whole run, so that a colour means the same at every step. */
export function scaleTop(snapshots: readonly Snapshot[], colouring: Colouring, width: number): number {
  if (colouring === "rank" || colouring === "change") return width;
  let highest = 0;
  snapshots.forEach((levels, index) => {
    if (colouring === "difference" && !levels.pruning) return;
    const before = snapshots[previousPruning(snapshots, index)]?.ranks ?? levels.ranks;
    for (let module = 0; module < levels.ranks.length; module++) {
      const value = Math.abs(colourValue({ levels, start: levels.ranks, before }, colouring, module) ?? 0);
      // NaN and infinities are larger than nothing.
      if (value > highest && Number.isFinite(value)) highest = value;
    }
  });
  return meanings[colouring].isScore ? roundEnd(highest) : Math.max(2, highest);
}

/** Up to the next of 1, 1.5, 2, 3, 5, 7 times a power of ten: small growth leaves the colours as they are. */
function roundEnd(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(highest || 1));
  const ends = [1, 1.5, 2, 3, 5, 7, 10];
  return (ends.find((end) => end * power >= highest) ?? 10) * power;
}
