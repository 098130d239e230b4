import type { PreflightChecks } from "@/api/types";

type Memory = NonNullable<PreflightChecks["memory"]>;

const titles: Record<keyof Memory["parts"], string> = {
  weights: "Weights",
  adapter: "Adapter",
  gradients: "Gradients",
  optimizer: "Optimizer",
  activations: "Activations",
  process: "Process",
};
/** A limit further right than this would leave the parts too narrow to tell apart. */
const farthest = 1.6;

export interface BarPart {
  name: keyof Memory["parts"];
  title: string;
  bytes: number;
  /** Share of the bar. */
  percent: number;
}

/** The parts of a memory estimate as shares of a bar, and where on it the free memory ends; null if that is far right. */
export function barOf(memory: Memory): { parts: BarPart[]; limit: number | null } {
  const free = memory.free_bytes;
  const isNear = free !== null && free < farthest * memory.total_bytes;
  const whole = isNear ? Math.max(memory.total_bytes, free) : memory.total_bytes * farthest;
  const parts = (Object.keys(titles) as (keyof Memory["parts"])[])
    .filter((name) => memory.parts[name] > 0)
    .map((name) => ({
      name,
      title: name === "process" && memory.device === "gpu" ? "CUDA context" : titles[name],
      bytes: memory.parts[name],
      percent: (100 * memory.parts[name]) / whole,
    }));
  return { parts, limit: isNear ? (100 * free) / whole : null };
}
