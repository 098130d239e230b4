/** Unpacks rank records (contract/events.py, RanksEvent) into arrays. */

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

const word = (bytes: Uint8Array, index: number): number =>
  (bytes[2 * index] ?? 0) | ((bytes[2 * index + 1] ?? 0) << 8);

/** `length` booleans as 1 or 0, the lowest bit of each byte first. */
export function unpackMask(base64: string, length: number): Uint8Array {
  const bytes = bytesOf(base64);
  const mask = new Uint8Array(length);
  for (let index = 0; index < length; index++) mask[index] = ((bytes[index >> 3] ?? 0) >> (index & 7)) & 1;
  return mask;
}

/** The number that 16 bits of IEEE 754 half precision encode. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** `length` numbers from little-endian float16. */
export function unpackFloat16(base64: string, length: number): Float32Array {
  const bytes = bytesOf(base64);
  const numbers = new Float32Array(length);
  for (let index = 0; index < length; index++) numbers[index] = fromFloat16(word(bytes, index));
  return numbers;
}

/** `length` numbers from little-endian uint16. */
export function unpackUint16(base64: string, length: number): Uint16Array {
  const bytes = bytesOf(base64);
  const numbers = new Uint16Array(length);
  for (let index = 0; index < length; index++) numbers[index] = word(bytes, index);
  return numbers;
}

/** Rank and importance of each module in a snapshot, by module index. */
export interface ModuleLevels {
  /** Live components. */
  ranks: Uint16Array;
  /** Mean score of the live components: 0 at rank 0, NaN when a live score is NaN. */
  mean: Float32Array;
  /** Largest score of the live components, under the same rules. */
  max: Float32Array;
}

/** Rank and importance of each module, from the components of one snapshot. */
export function moduleLevels(
  frame: { mask: string; scores: string },
  modules: number,
  width: number,
): ModuleLevels {
  const mask = unpackMask(frame.mask, modules * width);
  const scores = unpackFloat16(frame.scores, modules * width);
  const levels: ModuleLevels = {
    ranks: new Uint16Array(modules),
    mean: new Float32Array(modules),
    max: new Float32Array(modules),
  };
  for (let module = 0; module < modules; module++) {
    let rank = 0;
    let sum = 0;
    let max = Number.NEGATIVE_INFINITY;
    for (let index = module * width; index < (module + 1) * width; index++) {
      if (!mask[index]) continue;
      const score = scores[index] ?? 0;
      rank += 1;
      sum += score;
      // Math.max returns NaN if any score is NaN.
      max = Math.max(max, score);
    }
    levels.ranks[module] = rank;
    levels.mean[module] = rank ? sum / rank : 0;
    levels.max[module] = rank ? max : 0;
  }
  return levels;
}
