/** Reads and changes a configuration by dotted path, such as `training.learning_rate`, without mutating the original. */
import type { ConfigDraft } from "./types";

export function valueAt(draft: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), draft);
}

export function withValue(draft: ConfigDraft, path: string, value: unknown): ConfigDraft {
  const [key = "", ...rest] = path.split(".");
  if (rest.length === 0) return { ...draft, [key]: value };
  const inner = draft[key];
  return { ...draft, [key]: withValue(isObject(inner) ? inner : {}, rest.join("."), value) };
}

const isObject = (value: unknown): value is ConfigDraft =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The configuration with some fields of its sections replaced: `{training: {learning_rate: 0.01}}`. */
export const withChanges = <C extends object>(config: C, changes: Record<string, unknown>): C =>
  Object.entries(changes)
    .flatMap(([section, fields]) =>
      Object.entries(fields as object).map(([key, value]) => [`${section}.${key}`, value] as const),
    )
    .reduce((changed, [path, value]) => withValue(changed, path, value), config as ConfigDraft) as C;

/** The configuration with `name` first in each part that has one, since the options depend on it. */
export const namesFirst = (config: object): ConfigDraft =>
  Object.fromEntries(
    Object.entries(config).map(([part, value]: [string, unknown]) =>
      typeof value === "object" && value !== null && "name" in value
        ? [part, Object.assign({ name: value.name }, value)]
        : [part, value],
    ),
  );
