/** A configuration in the form: its defaults, and the fields that the API's problems belong to. */
import { withValue } from "@/api/config";
import type { ConfigDraft, FieldProblem } from "@/api/types";
import type { FormField, FormSection } from "./schema";

/** An empty configuration: every default of the schema filled in. */
export function defaultDraft(sections: readonly FormSection[]): ConfigDraft {
  let draft: ConfigDraft = {};
  for (const section of sections) {
    const first = section.choice?.variants[0];
    draft = { ...draft, [section.path]: {} };
    if (section.choice && first) draft = withValue(draft, section.choice.path, first.value);
    for (const [path, value] of Object.entries(section.fixed ?? {})) draft = withValue(draft, path, value);
    for (const field of first?.fields ?? section.fields) {
      if (field.default !== undefined) draft = withValue(draft, field.path, field.default);
    }
  }
  return draft;
}

export interface ProblemsByField {
  /** Path without `config.` -> the API's sentence. */
  fields: Record<string, string>;
  /** Problems that have no field in the form. */
  others: string[];
}

/** The API's problems by field. */
export function problemsByField(
  problems: readonly FieldProblem[],
  paths: ReadonlySet<string>,
): ProblemsByField {
  const result: ProblemsByField = { fields: {}, others: [] };
  for (const problem of problems) {
    const path = problem.field.replace(/^config\./, "");
    // target_modules.0 is about target_modules.
    const known = paths.has(path) ? path : path.replace(/(\.\d+)+$/, "");
    const sentence = sentenceOf(problem);
    if (paths.has(known)) result.fields[known] = [result.fields[known], sentence].filter(Boolean).join(" ");
    else result.others.push(`${problem.field} ${sentence}`);
  }
  return result;
}

export function sentenceOf(problem: FieldProblem): string {
  const message = /[.!?]$/.test(problem.message) ? problem.message : `${problem.message}.`;
  const upper = message.charAt(0).toUpperCase() + message.slice(1);
  return [upper, problem.next_step].filter(Boolean).join(" ");
}

export const allFields = (sections: readonly FormSection[]): FormField[] =>
  sections.flatMap((section) => [
    ...section.fields,
    ...(section.choice?.variants.flatMap((variant) => variant.fields) ?? []),
  ]);

export const allPaths = (sections: readonly FormSection[]): Set<string> =>
  new Set([
    ...allFields(sections).map((field) => field.path),
    ...sections.flatMap((section) => (section.choice ? [section.choice.path] : [])),
    ...sections.flatMap((section) => Object.keys(section.fixed ?? {})),
  ]);
