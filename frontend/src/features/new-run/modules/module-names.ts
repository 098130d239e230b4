/** Converts `target_modules` to layers and back. A name stands for every layer whose name ends with it. */
import type { ModelModule } from "@/api/types";

const fits = (module: ModelModule, name: string): boolean => `.${module.name}`.endsWith(`.${name}`);

/** The layers that these names stand for; null stands for all that are in numbered blocks. */
export function chosenBy(names: readonly string[] | null, modules: readonly ModelModule[]): Set<string> {
  const chosen = modules.filter((module) =>
    names === null ? module.layer !== null : names.some((name) => fits(module, name)),
  );
  return new Set(chosen.map((module) => module.name));
}

/** The names that don't stand for any layer of the model. */
export const unknownNames = (names: readonly string[], modules: readonly ModelModule[]): string[] =>
  names.filter((name) => !modules.some((module) => fits(module, name)));

/** Few names that stand for exactly these layers; null if they are what the model proposes. */
export function namesOf(chosen: ReadonlySet<string>, modules: readonly ModelModule[]): string[] | null {
  const proposed = chosenBy(null, modules);
  if (chosen.size === proposed.size && [...chosen].every((name) => proposed.has(name))) return null;
  const owners = new Map<string, string[]>();
  for (const { name } of modules) {
    for (const end of endsOf(name)) {
      const others = owners.get(end);
      if (others) others.push(name);
      else owners.set(end, [name]);
    }
  }
  const names: string[] = [];
  const covered = new Set<string>();
  for (const module of modules) {
    if (!chosen.has(module.name) || covered.has(module.name)) continue;
    const end = endsOf(module.name).find((one) => owners.get(one)?.every((owner) => chosen.has(owner)));
    const name = end ?? module.name;
    names.push(name);
    for (const owner of owners.get(name) ?? [name]) covered.add(owner);
  }
  return names;
}

/** Suffixes of a name without a layer number, the shortest first, then the whole name. */
function endsOf(name: string): string[] {
  const parts = name.split(".");
  const ends: string[] = [];
  for (let start = parts.length - 1; start > 0 && !/^\d+$/.test(parts[start] ?? ""); start--)
    ends.push(parts.slice(start).join("."));
  return [...ends, name];
}

export type PatternKind = "glob" | "regex";

/** The test of a name against a pattern; an error message if the pattern is not valid. */
export function testOf(pattern: string, kind: PatternKind): ((name: string) => boolean) | string {
  if (kind === "glob") {
    const body = pattern
      .split(/(\*|\?|\[!?[^\]]+\])/)
      .map((part) => globPart(part))
      .join("");
    // Like a name in target_modules, a glob is about the end of a name.
    return tester(`(^|\\.)${body}$`);
  }
  return tester(pattern);
}

function globPart(part: string): string {
  if (part === "*") return ".*";
  if (part === "?") return ".";
  if (/^\[!?[^\]]+\]$/.test(part)) return part.replace(/^\[!/, "[^").replaceAll("\\", "\\\\");
  return part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
}

function tester(source: string): ((name: string) => boolean) | string {
  try {
    const pattern = new RegExp(source, "u");
    return (name) => pattern.test(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(": ").at(-1) : "";
    return `Invalid pattern${reason ? `: ${reason?.toLowerCase()}` : ""}.`;
  }
}
