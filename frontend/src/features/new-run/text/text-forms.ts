import { LineCounter, parseDocument, stringify } from "yaml";
import { namesFirst } from "@/api/config";
import type { ConfigDraft } from "@/api/types";

const mostCharacters = 1_500_000;
const mostAliases = 20;
/** Fields that a file for `rankscope launch` may have next to `config`. */
const otherFields = ["name", "tags", "priority", "notes"] as const;

export interface LaunchText {
  config: ConfigDraft;
  name?: string;
  tags?: string[];
  priority?: number;
  notes?: string;
}

export const toYaml = (draft: ConfigDraft): string => stringify(namesFirst(draft));

/** A configuration from YAML (JSON is YAML too), alone or under `config:` as the API takes it. Drops nothing. */
export function fromYaml(text: string): LaunchText | { error: string } {
  if (text.length > mostCharacters) {
    return { error: `This text has ${text.length} characters; ${mostCharacters} is the limit.` };
  }
  let value: unknown;
  try {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const wrong = document.errors[0] ?? document.warnings[0];
    if (wrong) {
      const place = lines.linePos(wrong.pos[0]);
      return {
        error: `Line ${place.line}, column ${place.col} is not valid YAML: ${sentence(wrong.message)}`,
      };
    }
    value = document.toJS({ maxAliasCount: mostAliases });
  } catch (cause) {
    return {
      error: `This is not valid YAML: ${sentence(cause instanceof Error ? cause.message : String(cause))}`,
    };
  }
  if (!isObject(value)) {
    return {
      error: "Expected a mapping with model, data, method and training.",
    };
  }
  const odd = oddValue(value, "");
  if (odd) return { error: odd };
  if (!("config" in value)) return { config: value };
  return besideTheConfig(value);
}

function besideTheConfig(value: ConfigDraft): LaunchText | { error: string } {
  const { config, ...rest } = value;
  if (!isObject(config)) return { error: "`config` is not a mapping." };
  const unknown = Object.keys(rest).find((key) => !otherFields.some((known) => known === key));
  if (unknown !== undefined) {
    return {
      error: `Unknown field \`${unknown}\`. Next to \`config\`, only ${otherFields.join(", ")} are allowed.`,
    };
  }
  const read: LaunchText = { config };
  const { name, tags, priority, notes } = rest;
  if (name !== undefined && name !== null) {
    if (typeof name !== "string") return { error: "`name` is not a string." };
    read.name = name;
  }
  if (notes !== undefined) {
    if (typeof notes !== "string") return { error: "`notes` is not a string." };
    read.notes = notes;
  }
  if (priority !== undefined) {
    if (typeof priority !== "number" || !Number.isInteger(priority)) {
      return { error: "`priority` is not an integer." };
    }
    read.priority = priority;
  }
  if (tags !== undefined) {
    if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string")) {
      return { error: "`tags` is not a list of strings." };
    }
    read.tags = tags;
  }
  return read;
}

/** Rejects values that JSON would change: NaN would arrive as null, 2^53 + 1 as 2^53. */
function oddValue(value: unknown, path: string): string | null {
  if (typeof value === "number" && !Number.isFinite(value)) {
    return `${path} is ${value}; a configuration can only have finite numbers.`;
  }
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return `${path} is too large an integer to be represented exactly.`;
  }
  if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "function") {
    return `${path} has a value that a configuration can't have.`;
  }
  if (typeof value !== "object" || value === null) return null;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) {
    return `${path || "The document"} has an unsupported type; use text, numbers, lists and mappings.`;
  }
  for (const [key, inner] of Object.entries(value)) {
    const odd = oddValue(inner, path ? `${path}.${key}` : key);
    if (odd) return odd;
  }
  return null;
}

const isObject = (value: unknown): value is ConfigDraft =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const sentence = (message: string): string => {
  const first = message.split("\n")[0] ?? message;
  return /[.!?]$/.test(first) ? first : `${first}.`;
};

export interface LaunchFields {
  name: string;
  tags: string[];
  priority: number;
}

/** The launch as a shell command. */
export function curlOf(draft: ConfigDraft, fields: LaunchFields, origin: string): string {
  const name = fields.name.trim();
  const body = JSON.stringify(
    {
      ...(name ? { name } : {}),
      ...(fields.tags.length ? { tags: fields.tags } : {}),
      ...(fields.priority ? { priority: fields.priority } : {}),
      config: namesFirst(draft),
    },
    null,
    2,
  );
  return [
    `curl -X POST ${origin}/api/v1/runs \\`,
    '  -H "Authorization: Bearer $RANKSCOPE_TOKEN" \\',
    '  -H "Content-Type: application/json" \\',
    // A single quote would end the shell's string, so it is written outside of it.
    `  -d '${body.replaceAll("'", "'\\''")}'`,
  ].join("\n");
}
