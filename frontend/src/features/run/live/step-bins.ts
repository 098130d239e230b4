/**
 * Size of the bins that a range of steps is divided into, at most `most` of them.
 *
 * A power of two, and bins start at its multiples: the bins of a longer range are unions of earlier bins, so that data
 * reduced many times is as even as data reduced once.
 */
export const binSize = (range: number, most: number): number =>
  2 ** Math.max(0, Math.ceil(Math.log2((range + 1) / Math.max(1, most - 1))));
