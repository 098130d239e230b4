/** Ledger entries as sentences. */
import type { LedgerLine, Module, Num } from "@/api/types";
import { count } from "@/components/text/format";

/** layer 3 key; decoder layer 0 value if there are two stacks; the full name outside of layers. */
export function moduleLabel(module: Module, modules: readonly Module[]): string {
  if (module.layer === null) return module.name;
  const isAlone = modules.every((other) => other.stack === module.stack);
  return [isAlone ? "" : module.stack, "layer", module.layer, module.kind]
    .filter((part) => part !== "")
    .join(" ");
}

/** What happened: component, step, and the numbers that decided it. */
export function ledgerSentence(line: LedgerLine, module: string = line.module_name): string {
  const verb = line.change === "pruned" ? "was pruned" : "was regrown";
  return `Component ${line.component} of ${module} ${verb} at step ${line.step}: score ${number(line.score)}, place ${line.order} of ${line.total} by score, threshold ${number(line.threshold)}, budget ${line.budget}.`;
}

/** Why: the components with the highest scores are kept, as many as the budget allows. */
export function ledgerReason(line: LedgerLine): string {
  const better = line.order - 1;
  const allowed = `the budget allowed ${count(line.budget)}`;
  if (line.change === "regrown")
    return `Its score had grown: only ${better === 1 ? "1 component was" : `${count(better)} components were`} more important, and ${allowed}.`;
  return `${better === 1 ? "1 component was" : `${count(better)} components were`} more important, and ${allowed}.`;
}

const number = (value: Num): string => (typeof value === "number" ? value.toPrecision(3) : value);
