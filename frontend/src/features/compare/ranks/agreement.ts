/** What the rank correlation of two allocations means, in words. */

/** Largest correlation of 95 in 100 pairs of unrelated allocations: 1.96 / sqrt(n - 1) for n modules. */
export const chanceLevel = (modules: number): number => 1.96 / Math.sqrt(Math.max(1, modules - 1));

/** One sentence about how similar the ranks of two runs are. */
export function agreementText(spearman: number, modules: number, uniform: "A" | "B" | "both" | null): string {
  if (modules < 3) return "The runs share fewer than three modules, so their allocations can't be compared.";
  if (uniform !== null)
    return uniform === "both"
      ? "Both runs give every shared module the same rank, so there is no order to compare."
      : `Run ${uniform} gives every shared module the same rank, so there is no order to compare.`;
  const chance = chanceLevel(modules);
  const size = Math.abs(spearman);
  if (size < chance)
    return `No more alike than chance: with ${modules} modules, unrelated allocations are between −${chance.toFixed(2)} and +${chance.toFixed(2)} in 95 of 100 cases.`;
  if (spearman < 0)
    return "Opposite: modules with a high rank in one run tend to have a low one in the other, more than chance allows.";
  if (size >= 0.9) return "Nearly the same order: both runs give their ranks to the same modules.";
  if (size >= 0.7) return "Similar: the runs agree on most of the modules that need rank.";
  if (size >= 0.4) return "Partly alike: more than chance, but many modules are placed differently.";
  return "Weakly alike: more than chance, but the order is mostly different.";
}

/** Which of the allocations gives all modules the same rank. */
export function uniformOf(a: readonly number[], b: readonly number[]): "A" | "B" | "both" | null {
  const isUniform = (ranks: readonly number[]) => new Set(ranks).size < 2;
  return isUniform(a) ? (isUniform(b) ? "both" : "A") : isUniform(b) ? "B" : null;
}
