/** The next seeds for which a group has no run. */
export function nextSeeds(taken: readonly number[], count: number): number[] {
  const found: number[] = [];
  for (let seed = 0; found.length < count; seed++) if (!taken.includes(seed)) found.push(seed);
  return found;
}

/** Name of a run with another seed: a seed at the end of the name is replaced. */
export function nameWithSeed(name: string, seed: number): string {
  const rest = name.replace(/[\s,;·([_-]*\bseed[\s=_-]*\d+[)\]]?$/i, "") || name;
  return `${rest.slice(0, 180)}, seed ${seed}`;
}
