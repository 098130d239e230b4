/** Rank snapshots travel packed (contract/events.py, RanksEvent; RankHistory). Here they become arrays. */
import type { Num, RankHistory, RanksEvent } from "./types";

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

/** Float16 numbers, little-endian. */
export function unpackFloat16(base64: string): Float32Array {
  const bytes = bytesOf(base64);
  const numbers = new Float32Array(bytes.length / 2);
  for (let index = 0; index < numbers.length; index++) {
    numbers[index] = fromFloat16((bytes[2 * index] ?? 0) | ((bytes[2 * index + 1] ?? 0) << 8));
  }
  return numbers;
}

export function unpackUint16(base64: string): Uint16Array {
  const bytes = bytesOf(base64);
  const numbers = new Uint16Array(bytes.length / 2);
  for (let index = 0; index < numbers.length; index++)
    numbers[index] = (bytes[2 * index] ?? 0) | ((bytes[2 * index + 1] ?? 0) << 8);
  return numbers;
}

/** One rank snapshot, by module. */
export interface ModuleFrame {
  step: number;
  attempt: number;
  budget: number;
  live: number;
  threshold: Num | null;
  /** The step ended with a pruning: the live ranks are exact. */
  pruning: boolean;
  final: boolean;
  ranks: Uint16Array;
  /** Mean score of the live components; NaN when one of them is; 0 at rank 0. `importanceMax`: the largest. */
  importanceMean: Float32Array;
  importanceMax: Float32Array;
}

/** The snapshots of a history; their columns are views into one array each. */
export function framesOf(history: RankHistory): ModuleFrame[] {
  const modules = history.modules.length;
  const ranks = unpackUint16(history.ranks);
  const mean = unpackFloat16(history.importance_mean);
  const max = unpackFloat16(history.importance_max);
  return history.steps.map((step, index) => {
    const [from, to] = [index * modules, (index + 1) * modules];
    return {
      step,
      attempt: history.attempts[index] ?? 0,
      budget: history.budget[index] ?? 0,
      live: history.live[index] ?? 0,
      threshold: history.threshold[index] ?? null,
      pruning: history.pruning[index] ?? false,
      final: history.final[index] ?? false,
      ranks: ranks.subarray(from, to),
      importanceMean: mean.subarray(from, to),
      importanceMax: max.subarray(from, to),
    };
  });
}

/** The same of a snapshot as it comes in the stream. */
export function frameOfEvent(event: RanksEvent): ModuleFrame {
  const { modules, width } = event;
  const mask = unpackMask(event.mask, modules, width);
  const scores = unpackFloat16(event.scores);
  const ranks = new Uint16Array(modules);
  const importanceMean = new Float32Array(modules);
  const importanceMax = new Float32Array(modules);
  for (let module = 0; module < modules; module++) {
    let rank = 0;
    let sum = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (let index = module * width; index < (module + 1) * width; index++) {
      if (!mask[index]) continue;
      rank += 1;
      sum += scores[index] ?? 0;
      highest = Math.max(highest, scores[index] ?? 0);
    }
    ranks[module] = rank;
    importanceMean[module] = rank ? sum / rank : 0;
    importanceMax[module] = rank ? highest : 0;
  }
  return {
    step: event.step,
    attempt: event.attempt,
    budget: event.budget,
    live: event.live,
    threshold: event.threshold ?? null,
    pruning: event.pruning ?? false,
    final: event.final ?? false,
    ranks,
    importanceMean,
    importanceMax,
  };
}

export interface ModuleState {
  /** Live components. */
  rank: number;
  /** Mean score of the live components; null at rank 0. NaN when a score is. */
  importance: number | null;
}

/** Rank and importance of each module in one snapshot. */
export function moduleStates(frame: ModuleFrame): ModuleState[] {
  return Array.from(frame.ranks, (rank, module) => ({
    rank,
    importance: rank ? (frame.importanceMean[module] ?? null) : null,
  }));
}
