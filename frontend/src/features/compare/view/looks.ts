/** How each group is drawn in every chart of the page. */
import type { Comparison, MethodInfo, RunSummary } from "@/api/types";
import type { Curve } from "@/charts/figures/curves";
import { colourOf, type Look } from "@/charts/plot/look";

const dashes = ["solid", "dash", "dot"] as const;

export interface GroupLook {
  colour: string;
  dash: NonNullable<Curve["dash"]>;
}

/** The first eight groups have their own colour; after that, the colours repeat with another dash. */
export const groupLook = (look: Look, group: number): GroupLook => ({
  colour: colourOf(look, group),
  dash: dashes[Math.floor(group / look.palette.length) % dashes.length] ?? "solid",
});

export type Group = Comparison["groups"][number];

/** Its first run, which identifies the group in the address. */
export const keyOf = (group: Group): string => group.run_ids[0] ?? "";

/** Index of the baseline's group: the one with this run, or the first. */
export const baselineOf = (groups: readonly Group[], base: string): number =>
  Math.max(
    0,
    groups.findIndex((group) => group.run_ids.includes(base)),
  );

/** The runs with ranks. Those whose ranks move come first: those of the others have no order to compare. */
export function rankedRuns({ runs }: Comparison, methodOf: (name: string) => MethodInfo): RunSummary[] {
  const moves = (run: RunSummary) => Number(methodOf(run.method).rank_changes !== "never");
  return runs.filter((run) => methodOf(run.method).has_ranks).sort((one, other) => moves(other) - moves(one));
}
