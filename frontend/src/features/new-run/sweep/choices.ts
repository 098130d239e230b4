import { allFields } from "@/features/new-run/form/draft";
import type { FormField, FormSection } from "@/features/new-run/form/schema";
import type { Choice } from "./SearchSpacePanel";

/** Fields that a sweep can't vary: every point has its seeds, and all points the same task. */
const fixed = new Set(["training.seed", "steering"]);
const isFixed = (path: string): boolean => fixed.has(path) || path === "task" || path.startsWith("task.");

/** The fields of the configuration that can vary, the budget first. */
export function choicesOf(sections: readonly FormSection[], installed: Record<string, string[]>): Choice[] {
  const budget: Choice = {
    value: "budget",
    label: "Mean kept rank (budget)",
    group: "Any method",
    isNumber: true,
    suggestions: ["1", "2", "4", "8"],
  };
  const ofSections = sections.flatMap((section) => [
    ...(section.choice && !isFixed(section.choice.path)
      ? [
          {
            value: section.choice.path,
            label: section.title,
            group: section.title,
            isNumber: false,
            suggestions: section.choice.variants.map((one) => one.value),
          },
        ]
      : []),
    ...allFields([section])
      .filter((field) => !isFixed(field.path) && field.kind !== "object")
      .map((field) => ({
        value: field.path,
        label: `${field.title} (${field.path})`,
        group: section.title,
        isNumber: field.kind === "number" || field.kind === "integer",
        suggestions: suggestionsOf(field, installed),
      })),
  ]);
  // Options of several methods with one name are one parameter.
  return [...new Map([budget, ...ofSections].map((one) => [one.value, one])).values()];
}

function suggestionsOf(field: FormField, installed: Record<string, string[]>): string[] {
  if (field.kind === "boolean") return ["true", "false"];
  return [...new Set(field.optionsFrom ? (installed[field.optionsFrom] ?? []) : field.choices)];
}
