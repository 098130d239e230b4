import type { Module } from "@/api/types";

/**
 * Layer and kind of modules that are known by name only, for example `encoder.layer.3.attention.self.query`: layer 3, kind
 * query. Without a number in the name, all modules are in one row.
 */
export const placesOf = (names: readonly string[]): Module[] =>
  names.map((name) => {
    const parts = name.split(/[.\s]+/).filter(Boolean);
    const at = parts.findIndex((part) => /^\d+$/.test(part));
    const before = parts.slice(0, Math.max(at, 0));
    const rest = at === -1 ? parts : parts.slice(at + 1);
    return {
      name,
      // "module 17" is a place in a list, not a layer.
      layer: at === -1 || rest.length === 0 ? null : Number(parts[at]),
      kind: rest.length ? kindOf(rest) : name,
      stack: before.find((part) => part === "encoder" || part === "decoder") ?? "",
      out_features: 0,
      in_features: 0,
    };
  });

function kindOf(parts: readonly string[]): string {
  const named = parts.at(-1) === "dense" && parts.length > 1 ? parts.slice(0, -1) : parts;
  const last = named.at(-1) ?? "";
  return last === "output" && named.length > 1 ? named.slice(-2).join(" ") : last;
}
