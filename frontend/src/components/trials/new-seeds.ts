/** The smallest seeds that are not used yet. */
export function newSeeds(used: readonly number[], count: number): number[] {
  const taken = new Set(used);
  const found: number[] = [];
  for (let seed = 0; found.length < count; seed++) if (!taken.has(seed)) found.push(seed);
  return found;
}
