import type { Snapshot } from "@/api/snapshots";
import { type Colouring, colourValue, meanings } from "@/charts/heatmap/rank-values";
import { rankViewAt } from "./rank-view";

const mostSamples = 30_000;
/** Share of the scores within the scale; otherwise a few early peaks would give all others one colour. */
const shownShare = 0.98;

/** The end of the colour scale over the whole run, so that a colour means the same at every step. */
export function scaleTop(snapshots: readonly Snapshot[], colouring: Colouring, width: number): number {
  if (colouring === "rank" || colouring === "change") return width;
  if (meanings[colouring].isScore) return roundEnd(scoreEnd(snapshots, colouring));
  const prunings = snapshots.map((_, index) => index).filter((index) => snapshots[index]?.pruning);
  return Math.max(2, ...prunings.map((index) => largest(snapshots, index, colouring)));
}

function largest(snapshots: readonly Snapshot[], index: number, colouring: Colouring): number {
  const view = rankViewAt(snapshots, index);
  if (!view) return 0;
  return view.levels.ranks.reduce(
    (most, _, module) => Math.max(most, Math.abs(colourValue(view, colouring, module) ?? 0)),
    0,
  );
}

function scoreEnd(snapshots: readonly Snapshot[], colouring: Colouring): number {
  const modules = snapshots[0]?.ranks.length ?? 0;
  const stride = Math.ceil((snapshots.length * modules) / mostSamples) || 1;
  const scores: number[] = [];
  for (let index = snapshots.length - 1; index >= 0; index -= stride) {
    const view = rankViewAt(snapshots, index);
    for (let module = 0; view && module < modules; module++) {
      const score = colourValue(view, colouring, module);
      if (score !== null && Number.isFinite(score)) scores.push(score);
    }
  }
  scores.sort((one, other) => one - other);
  return scores[Math.floor(shownShare * (scores.length - 1))] ?? 0;
}

/** Rounds up to 1, 1.5, 2, 3, 5 or 7 times a power of ten, so that small growth does not change the colours. */
function roundEnd(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(highest || 1));
  const ends = [1, 1.5, 2, 3, 5, 7, 10];
  return (ends.find((end) => end * power >= highest) ?? 10) * power;
}
