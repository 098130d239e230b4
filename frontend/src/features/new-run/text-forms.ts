import { parse, stringify } from "yaml";
import type { ConfigDraft } from "@/api/types";

export const toYaml = (draft: ConfigDraft): string => stringify(draft);

/** A configuration from YAML (JSON is YAML too), also when it stands under `config:` as the API takes it. */
export function fromYaml(text: string): { config: ConfigDraft } | { error: string } {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 20 });
  } catch (cause) {
    return {
      error: `This is not YAML: ${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}`,
    };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return {
      error: "A configuration is a list of names with values, such as model, data, method and training.",
    };
  }
  const inner = (value as ConfigDraft)["config"];
  return { config: (typeof inner === "object" && inner !== null ? inner : value) as ConfigDraft };
}

/** The same launch from a shell. */
export function curlOf(draft: ConfigDraft, name: string, origin: string): string {
  const body = JSON.stringify({ ...(name.trim() ? { name: name.trim() } : {}), config: draft }, null, 2);
  return [
    `curl -X POST ${origin}/api/v1/runs \\`,
    '  -H "Authorization: Bearer $RANKSCOPE_TOKEN" \\',
    '  -H "Content-Type: application/json" \\',
    // A single quote ends the shell's string: it is written outside of it.
    `  -d '${body.replaceAll("'", "'\\''")}'`,
  ].join("\n");
}
