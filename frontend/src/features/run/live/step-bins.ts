/**
 * Length of the stretches of steps that a range is divided into: at most `most` of them.
 *
 * A power of two, and stretches begin at its multiples: a longer range has stretches that are whole ones of before, so
 * that what was reduced often is as even as what was reduced once.
 */
export const binSize = (range: number, most: number): number =>
  2 ** Math.max(0, Math.ceil(Math.log2((range + 1) / Math.max(1, most - 1))));
