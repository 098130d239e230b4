import type { Module } from "@/api/types";
import { layerWord } from "@/charts/heatmap/module-grid";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import { colourOf, type Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";
import { plural } from "@/components/text/plural";

export type Grouping = "layer" | "kind" | "rank";

/** The live components of a group of modules: a layer, or a kind of module. */
export interface RankGroup {
  name: string;
  stack: string;
  modules: number;
  live: number;
  mean: number;
  /** Standard deviation of the ranks in the group. */
  spread: number;
  lowest: number;
  highest: number;
}

/** One group per layer or kind, encoder and decoder separately, in the order of the forward pass. */
export function rankGroups(
  modules: readonly Module[],
  ranks: ArrayLike<number>,
  grouping: "layer" | "kind",
): RankGroup[] {
  const members = new Map<string, { name: string; stack: string; ranks: number[] }>();
  modules.forEach((module, index) => {
    const name = grouping === "layer" ? layerWord(module) : module.kind;
    const key = `${module.stack}/${name}`;
    const group = members.get(key) ?? { name, stack: module.stack, ranks: [] };
    members.set(key, group);
    group.ranks.push(ranks[index] ?? 0);
  });
  return [...members.values()].map(({ name, stack, ranks: own }) => {
    const live = own.reduce((sum, rank) => sum + rank, 0);
    const mean = live / own.length;
    return {
      name,
      stack,
      modules: own.length,
      live,
      mean,
      spread: Math.sqrt(own.reduce((sum, rank) => sum + (rank - mean) ** 2, 0) / own.length),
      lowest: Math.min(...own),
      highest: Math.max(...own),
    };
  });
}

/** How many modules have each rank, 0 to the initial rank. */
export function rankCounts(ranks: ArrayLike<number>, width: number): number[] {
  const counts = new Array<number>(width + 1).fill(0);
  for (let index = 0; index < ranks.length; index++) {
    const rank = ranks[index] ?? 0;
    counts[rank] = (counts[rank] ?? 0) + 1;
  }
  return counts;
}

/** Modules at each rank. */
export function rankCountsFigure(ranks: ArrayLike<number>, width: number, look: Look): Figure {
  const counts = rankCounts(ranks, width);
  return {
    data: [
      {
        type: "bar",
        x: counts.map((_, rank) => rank),
        y: counts,
        marker: { color: counts.map((_, rank) => (rank === 0 ? look.emptyInk : colourOf(look, 0))) },
        text: counts.map((modules) => plural(modules, "module")),
        textposition: "none",
        hovertemplate: "%{text} at rank %{x}<extra></extra>",
      } as Figure["data"][number],
    ],
    layout: baseLayout(look, {
      bargap: 0.25,
      xaxis: axis(look, {
        title: titleOf("rank", look, 4),
        range: [-0.6, width + 0.6],
        showgrid: false,
        dtick: Math.max(1, Math.ceil(width / 16)),
      }),
      yaxis: axis(look, {
        title: titleOf("modules", look, 6),
        // The same range at every step: only the bars move.
        range: [0, Math.max(1, ranks.length)],
        nticks: 4,
      }),
    }),
  };
}

/**
 * Live components of each layer or kind as bars, and the mean rank of its modules with its standard deviation as a dot
 * with whiskers on the right axis (Mao et al. 2024, Figure 2). Both axes end at the initial values.
 */
export function rankGroupsFigure(
  groups: readonly RankGroup[],
  width: number,
  grouping: "layer" | "kind",
  look: Look,
): Figure {
  const stacks = [...new Set(groups.map((group) => group.stack))];
  const places = groups.map((_, index) => index);
  const hover = groups.map((group) => groupText(group, grouping, stacks.length > 1));
  const largest = Math.max(1, ...groups.map((group) => group.modules * width));
  const bars = stacks.map((stack, at) => {
    const own = places.filter((index) => groups[index]?.stack === stack);
    return {
      type: "bar",
      name: stacks.length > 1 ? plainText(stack || "other") : "live components",
      x: own,
      y: own.map((index) => groups[index]?.live ?? 0),
      text: own.map((index) => hover[index] ?? ""),
      textposition: "none",
      marker: { color: colourOf(look, at === 0 ? 0 : 2) },
      hovertemplate: "%{text}<extra></extra>",
    };
  });
  const means = {
    type: "scatter",
    mode: "markers",
    name: "mean rank ± sd",
    x: places,
    y: groups.map((group) => group.mean),
    yaxis: "y2",
    error_y: {
      type: "data",
      array: groups.map((group) => group.spread),
      color: look.ink,
      thickness: 1.2,
      width: 3,
    },
    marker: { size: 7, color: look.surface, line: { width: 1.6, color: look.ink } },
    hoverinfo: "skip",
  };
  return {
    data: [...bars, means] as unknown as Figure["data"],
    layout: baseLayout(look, {
      bargap: 0.3,
      showlegend: true,
      hovermode: "closest",
      margin: { l: 48, r: 44, t: 8, b: 36 },
      xaxis: axis(look, {
        title: titleOf(grouping === "layer" ? "layer" : "", look, 4),
        ...namesOf(groups),
        range: [-0.6, groups.length - 0.4],
        showgrid: false,
      }),
      yaxis: axis(look, {
        title: titleOf("live components", look, 6),
        range: [0, largest * 1.05],
        nticks: 5,
      }),
      yaxis2: {
        ...axis(look, {
          title: titleOf("mean rank", look, 6),
          range: [0, width * 1.05],
          // Its own ticks: aligned with the left axis they would be fractions.
          tickmode: "auto",
          nticks: 5,
          showgrid: false,
        }),
        overlaying: "y",
        side: "right",
      } as never,
    }),
  };
}

export function groupText(group: RankGroup, grouping: "layer" | "kind", hasStacks: boolean): string {
  const name = grouping === "layer" ? `layer ${group.name}` : group.name;
  const stack = hasStacks && group.stack ? `${group.stack} ` : "";
  return `<b>${plainText(stack + name)}</b><br>${group.live} live in ${plural(group.modules, "module")}<br>mean rank ${group.mean.toFixed(2)} ± ${group.spread.toFixed(2)}, ${group.lowest} to ${group.highest}`;
}

function namesOf(groups: readonly RankGroup[]): { tickvals: number[]; ticktext: string[] } {
  const stride = Math.max(1, Math.ceil(groups.length / 34));
  const shown = groups.map((_, index) => index).filter((index) => index % stride === 0);
  return { tickvals: shown, ticktext: shown.map((index) => plainText(groups[index]?.name ?? "")) };
}

const titleOf = (text: string, look: Look, standoff: number) => ({
  text,
  font: { size: 11, color: look.muted },
  standoff,
});
