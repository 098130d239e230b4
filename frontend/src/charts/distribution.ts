import { axis, baseLayout, type Figure } from "./figure";
import { colourOf, type Look } from "./look";

/** How many modules have each rank, 0 to the initial rank. */
export function rankCounts(ranks: readonly number[], width: number): number[] {
  const counts = new Array<number>(width + 1).fill(0);
  for (const rank of ranks) counts[rank] = (counts[rank] ?? 0) + 1;
  return counts;
}

export function distributionFigure(ranks: readonly number[], width: number, look: Look): Figure {
  const counts = rankCounts(ranks, width);
  return {
    data: [
      {
        type: "bar",
        x: counts.map((_, rank) => rank),
        y: counts,
        marker: { color: counts.map((_, rank) => (rank === 0 ? look.emptyInk : colourOf(look, 0))) },
        hovertemplate: "%{y} modules at rank %{x}<extra></extra>",
      } as Figure["data"][number],
    ],
    layout: baseLayout(look, {
      bargap: 0.25,
      xaxis: axis(look, {
        title: { text: "rank", font: { size: 11, color: look.muted }, standoff: 4 },
        range: [-0.6, width + 0.6],
        showgrid: false,
        dtick: Math.max(1, Math.ceil(width / 16)),
      }),
      yaxis: axis(look, {
        title: { text: "modules", font: { size: 11, color: look.muted }, standoff: 6 },
        // The same height at every step: bars move, the axis does not.
        range: [0, Math.max(1, ranks.length)],
        nticks: 4,
      }),
    }),
  };
}
