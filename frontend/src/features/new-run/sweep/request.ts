/** Converts between the state of the form and the body of POST /sweeps. */
import { stringify } from "yaml";
import { namesFirst } from "@/api/config";
import type { ConfigDraft } from "@/api/types";
import { typedValue } from "@/features/new-run/experiment/request";

export type SpaceKind = "values" | "linear" | "log";
export type SearchKind = "grid" | "random" | "tpe" | "halving";

export interface ParameterRow {
  /** Stays the same while the row is edited. */
  key: number;
  name: string;
  kind: SpaceKind;
  /** As typed. */
  values: string[];
  /** Numbers, or text that is not a number yet, which the API reports. */
  low: unknown;
  high: unknown;
  /** Of a range in a grid. */
  count: unknown;
  /** Added or changed to another field, and not left since: a blank one is not an error yet. */
  isFresh?: boolean;
}

export interface AskedSweep {
  name: string;
  notes: string;
  config: ConfigDraft;
  rows: ParameterRow[];
  kind: SearchKind;
  /** Options of the search, the limits and the rest, by their path in the body: `search.points`, `stop.hours`. */
  options: Record<string, unknown>;
  /** As typed. */
  seeds: string[];
}

export type SweepBody = Record<string, unknown>;

/** The options that a kind of search has. */
export const searchOptions: Record<SearchKind, readonly string[]> = {
  grid: [],
  random: ["points", "seed"],
  tpe: ["points", "startup", "seed"],
  halving: ["points", "reduction_factor", "min_steps", "seed"],
};
const limits = { stop: ["hours", "runs", "target"], stop_runs: ["patience", "max_train_loss"] } as const;
const others = ["metric", "parallel"] as const;

/** Empty inputs are left out, so that the API's defaults apply. */
export function bodyOf(asked: AskedSweep): SweepBody {
  const given = (prefix: string, names: readonly string[]) =>
    Object.fromEntries(
      names.flatMap((name) => {
        const value = asked.options[`${prefix}${name}`];
        return value === undefined || value === null || value === "" ? [] : [[name, value]];
      }),
    );
  const whole = {
    stop: given("stop.", limits.stop),
    stop_runs: given("stop_runs.", limits.stop_runs),
  };
  return {
    name: asked.name.trim(),
    ...(asked.notes ? { notes: asked.notes } : {}),
    parameters: Object.fromEntries(asked.rows.map((row) => [row.name, spaceOf(row, asked.kind)])),
    search: { kind: asked.kind, ...given("search.", searchOptions[asked.kind]) },
    seeds: asked.seeds.map(typedValue),
    ...given("", others),
    ...Object.fromEntries(Object.entries(whole).filter(([, part]) => Object.keys(part).length)),
    // Last, because it is long.
    config: namesFirst(asked.config),
  };
}

function spaceOf(row: ParameterRow, kind: SearchKind): Record<string, unknown> {
  if (row.kind === "values") return { values: row.values.map(parsed) };
  return {
    low: row.low,
    high: row.high,
    ...(row.kind === "log" ? { scale: "log" } : {}),
    ...(kind === "grid" ? { count: row.count ?? null } : {}),
  };
}

/** Whether a row that was just added still lacks values. */
export const isStillBlank = (row: ParameterRow): boolean =>
  row.isFresh === true &&
  (row.kind === "values" ? row.values.length === 0 : row.low === null || row.high === null);

/** Lists are typed as JSON. */
function parsed(text: string): unknown {
  if (!/^[[{]/.test(text) && text !== "null") return typedValue(text);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const typed = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** The form's state for a body (also of another sweep or from YAML), or what is wrong with its structure. */
export function askedOf(body: unknown): AskedSweep | { error: string } {
  if (!isObject(body)) return { error: "Expected a mapping with config, parameters and search." };
  const known = [
    "name",
    "notes",
    "config",
    "parameters",
    "search",
    "seeds",
    ...others,
    ...Object.keys(limits),
  ];
  const odd = Object.keys(body).find((name) => !known.includes(name));
  if (odd !== undefined) return { error: `Unknown field \`${odd}\`. A sweep has ${known.join(", ")}.` };
  const { config, parameters, search } = body;
  for (const [name, part] of Object.entries({ config, parameters, search }))
    if (!isObject(part)) return { error: `\`${name}\` is not a mapping.` };
  const wrong = Object.entries(parameters as object).find(([, space]) => !isObject(space));
  if (wrong) return { error: `\`parameters.${wrong[0]}\` is not a mapping: use values, or low and high.` };
  const { kind, ...own } = search as Record<string, unknown>;
  if (typeof kind !== "string" || !(kind in searchOptions))
    return {
      error: `\`search.kind\` is ${JSON.stringify(kind)}; use ${Object.keys(searchOptions).join(", ")}.`,
    };
  const flat = (prefix: string, part: unknown) =>
    isObject(part) ? Object.entries(part).map(([name, value]) => [`${prefix}${name}`, value] as const) : [];
  return {
    name: typeof body["name"] === "string" ? body["name"] : "",
    notes: typeof body["notes"] === "string" ? body["notes"] : "",
    config: config as ConfigDraft,
    rows: Object.entries(parameters as Record<string, Record<string, unknown>>).map(([name, space], key) => ({
      key,
      name,
      kind: Array.isArray(space["values"]) ? "values" : space["scale"] === "log" ? "log" : "linear",
      values: Array.isArray(space["values"]) ? space["values"].map(typed) : [],
      low: space["low"] ?? null,
      high: space["high"] ?? null,
      count: space["count"] ?? null,
    })),
    kind: kind as SearchKind,
    options: Object.fromEntries([
      ...flat("search.", own),
      ...flat("stop.", body["stop"]),
      ...flat("stop_runs.", body["stop_runs"]),
      ...others.flatMap((name) => (name in body ? [[name, body[name]] as const] : [])),
    ]),
    seeds: Array.isArray(body["seeds"]) ? body["seeds"].map(typed) : ["0"],
  };
}

export const sweepYaml = (body: SweepBody): string => stringify(body);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
