/** The layers of a model as a tree of two levels: by kind, or by layer. */
import type { ModelModule } from "@/api/types";

export type Grouping = "kind" | "layer";

export interface Leaf {
  label: string;
  module: ModelModule;
}

export interface Group {
  key: string;
  label: string;
  leaves: Leaf[];
}

export function groupsOf(modules: readonly ModelModule[], grouping: Grouping): Group[] {
  const hasStacks = new Set(modules.map((module) => module.stack).filter(Boolean)).size > 1;
  const groups = new Map<string, Group>();
  for (const module of [...modules].sort(inOrder)) {
    const stack = hasStacks && module.stack ? `${module.stack} ` : "";
    const layer = module.layer === null ? "outside the blocks" : `${stack}layer ${module.layer}`;
    const kind = module.layer === null ? module.kind : `${stack}${module.kind}`;
    const isKind = grouping === "kind" && module.layer !== null;
    const key = isKind ? kind : layer;
    const group = groups.get(key) ?? { key, label: upper(key, isKind), leaves: [] };
    group.leaves.push({ label: isKind ? `Layer ${module.layer}` : module.kind, module });
    groups.set(key, group);
  }
  const found = [...groups.values()];
  if (grouping === "layer") return found;
  return found.sort((one, other) => placeOf(one) - placeOf(other));
}

const placeOf = (group: Group): number => {
  const module = group.leaves[0]?.module;
  return !module || module.layer === null ? 1000 : stackOf(module) * 100 + kindOf(module);
};

const inOrder = (one: ModelModule, other: ModelModule): number =>
  Number(one.layer === null) - Number(other.layer === null) ||
  stackOf(one) - stackOf(other) ||
  (one.layer ?? 0) - (other.layer ?? 0) ||
  kindOf(one) - kindOf(other);

const stackOf = (module: ModelModule): number => (module.stack === "decoder" ? 1 : 0);

const attentionParts = [/^q(uery)?(_|$)/i, /^k(ey)?(_|$)/i, /^v(alue)?(_|$)/i];

/** Query, key, value, the rest of attention, attention to the other stack, and what follows. */
function kindOf({ kind }: ModelModule): number {
  const last = kind.split(".").at(-1) ?? kind;
  const part = attentionParts.findIndex((one) => one.test(last));
  const isCross = /enc\w*_?attn|encdec|cross/i.test(kind);
  if (part >= 0) return (isCross ? 10 : 0) + part;
  return /att|^o_proj$|^out_proj$|^c_proj$/i.test(kind) ? (isCross ? 13 : 3) : 20;
}

/** A kind is a name in the model's code and stays as it is. */
const upper = (text: string, isName: boolean): string =>
  isName ? text : text.charAt(0).toUpperCase() + text.slice(1);

/** Parameters that an adapter of this rank adds to a layer. */
export const added = (module: ModelModule, rank: number, hasScales: boolean): number =>
  rank * (module.out_features + module.in_features + (hasScales ? 1 : 0));
