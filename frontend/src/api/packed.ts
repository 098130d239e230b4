/** Rank snapshots travel packed (contract/events.py, RanksEvent). Here they become arrays. */

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** Live components, row-major (modules x width), 1 or 0. Bits stand in little order within each byte. */
export function unpackMask(base64: string, modules: number, width: number): Uint8Array {
  const bytes = bytesOf(base64);
  const mask = new Uint8Array(modules * width);
  for (let index = 0; index < mask.length; index++)
    mask[index] = ((bytes[index >> 3] ?? 0) >> (index & 7)) & 1;
  return mask;
}

/** The number that 16 bits of IEEE 754 half precision stand for. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Importance of every component, row-major, from little-endian float16. */
export function unpackScores(base64: string, modules: number, width: number): Float32Array {
  const bytes = bytesOf(base64);
  const scores = new Float32Array(modules * width);
  for (let index = 0; index < scores.length; index++) {
    scores[index] = fromFloat16((bytes[2 * index] ?? 0) | ((bytes[2 * index + 1] ?? 0) << 8));
  }
  return scores;
}

export interface ModuleState {
  /** Live components. */
  rank: number;
  /** Mean score of the live components; null at rank 0. NaN when a score is. */
  importance: number | null;
}

/** Rank and importance of each module in one snapshot. */
export function moduleStates(
  frame: { mask: string; scores: string },
  modules: number,
  width: number,
): ModuleState[] {
  const mask = unpackMask(frame.mask, modules, width);
  const scores = unpackScores(frame.scores, modules, width);
  return Array.from({ length: modules }, (_, module) => {
    let rank = 0;
    let sum = 0;
    for (let index = module * width; index < (module + 1) * width; index++) {
      if (!mask[index]) continue;
      rank += 1;
      sum += scores[index] ?? 0;
    }
    return { rank, importance: rank ? sum / rank : null };
  });
}
