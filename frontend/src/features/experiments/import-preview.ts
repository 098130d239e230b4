/** Content of a file of results: numbers that all lines have, and the variants. The server checks the rest. */
export interface Preview {
  metrics: string[];
  variants: string[];
  /** From the first line's design, or the only possible choice. */
  metric: string | null;
  baseline: string | null;
}

const variantNames = ["variant", "name", "method"];
const notMetrics = new Set([
  "budget",
  "rank",
  "mean_rank",
  "seed",
  "learning_rate",
  "lr",
  "kept_parameters",
  "kept",
]);
const mostLines = 2000;

export function previewOf(text: string): Preview {
  const counts = new Map<string, number>();
  const variants = new Set<string>();
  let design: Record<string, unknown> = {};
  let lines = 0;
  for (const line of text.split("\n", mostLines)) {
    const value = parsed(line);
    if (!value) continue;
    if (lines === 0 && isObject(value["design"])) {
      design = value["design"];
      continue;
    }
    lines += 1;
    const variant = variantNames.map((name) => value[name]).find((one) => typeof one === "string");
    if (typeof variant === "string") variants.add(variant);
    const nested = isObject(value["metrics"]) ? value["metrics"] : {};
    for (const [name, number] of Object.entries({ ...value, ...nested }))
      if (typeof number === "number" && !notMetrics.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const metrics = [...counts].flatMap(([name, n]) => (n === lines ? [name] : []));
  const chosen = (name: string, from: readonly string[]) => {
    const value = design[name];
    return typeof value === "string" ? value : from.length === 1 ? (from[0] ?? null) : null;
  };
  const names = [...variants];
  return { metrics, variants: names, metric: chosen("metric", metrics), baseline: chosen("baseline", names) };
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
