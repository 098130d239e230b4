/** Converts the state of the form to the body of POST /experiments. */
import type { ConfigDraft } from "@/api/types";

export interface MethodRow {
  /** Stays the same while the row is edited. */
  key: number;
  method: string;
  /** Options as typed, such as `init=zero_b, eta=0`. */
  options: string;
  /** Ranks of an uploaded file, and its name; null for a method that chooses them. */
  pattern: { name: string; ranks: Record<string, unknown> } | null;
}

export interface Asked {
  name: string;
  draft: ConfigDraft;
  methods: MethodRow[];
  /** As typed: mean ranks. */
  budgets: string[];
  seeds: number;
  /** In points if the metric is a share. */
  margin: number;
  trials: number;
  /** Numbers, or text that is not a number yet, which the API reports. */
  lowestRate: unknown;
  highestRate: unknown;
  controls: string[];
  /** How many times the answer will be looked at before it is final. */
  looks: number;
}

/** Shares are shown in hundredths. */
const POINT = 0.01;
const FIRST_TUNING_SEED = 1000;

/** `isShare`: whether the headline metric is shown in points. */
export function requestOf(asked: Asked, isShare: boolean) {
  return {
    name: asked.name.trim(),
    config: asked.draft,
    methods: asked.methods.map(methodChoice),
    budgets: asked.budgets.map(Number),
    seeds: Array.from({ length: asked.seeds }, (_, seed) => seed),
    margin: isShare ? asked.margin * POINT : asked.margin,
    tuning: {
      trials: asked.trials,
      lowest_rate: asked.lowestRate,
      highest_rate: asked.highestRate,
      seeds: [FIRST_TUNING_SEED],
    },
    controls: asked.controls,
    planned_looks: asked.looks,
  };
}

export type ExperimentRequest = ReturnType<typeof requestOf>;

function methodChoice({ method, options, pattern }: MethodRow) {
  return pattern
    ? { method, name: pattern.name.slice(0, 60), options: { rank_pattern: pattern.ranks } }
    : { method, options: optionsOf(options) };
}

/** Reads `init=zero_b, eta=0`: numbers and true or false are values, everything else is text. */
export function optionsOf(typed: string): Record<string, unknown> {
  const pairs = typed
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [part, null] : [part.slice(0, at).trim(), typedValue(part.slice(at + 1).trim())];
    });
  return Object.fromEntries(pairs) as Record<string, unknown>;
}

export function typedValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return text !== "" && Number.isFinite(number) ? number : text;
}

/** The ranks in an uploaded file: `{"module": 4}`, or a configuration of PEFT with `rank_pattern`. */
export function patternIn(text: string): Record<string, unknown> | string {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return "It is not JSON.";
  }
  const whole = isObject(read) && isObject(read.rank_pattern) ? read.rank_pattern : read;
  if (!isObject(whole) || !Object.keys(whole).length)
    return "It has no ranks: an object of module names and ranks.";
  const wrong = Object.entries(whole).find(([, rank]) => !Number.isInteger(rank) || (rank as number) < 0);
  return wrong ? `The rank of ${wrong[0]} is ${JSON.stringify(wrong[1])}, not a whole number.` : whole;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
