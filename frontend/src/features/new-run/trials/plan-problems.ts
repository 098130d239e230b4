import { ApiError } from "@/api/client";
import type { FieldProblem } from "@/api/types";
import { problemsByField, sentenceOf } from "@/features/new-run/form/draft";

export interface PlanProblems {
  all: readonly FieldProblem[];
  /** Of the configuration: path without `config.` -> the API's sentence. */
  ofConfig: Record<string, string>;
  /** The API's sentence about another field of the form, or about a part of it. */
  problemOf: (field: string) => string | undefined;
  /** What no field shows, and that there are marked fields. */
  sentences: string[];
}

interface Form {
  /** Fields of the configuration that the form has. */
  paths: ReadonlySet<string>;
  /** Whether the form marks this field outside the configuration. */
  marks: (field: string) => boolean;
  /** Problems that are not shown yet. */
  isEarly?: (field: string) => boolean;
}

/** Why the API refuses to plan or launch a sweep or an experiment, by the place where the form shows it. */
export function planProblems(refusal: unknown, { paths, marks, isEarly = () => false }: Form): PlanProblems {
  const found = refusal instanceof ApiError ? refusal.fields : [];
  const all = found.filter(({ field }) => !isEarly(field));
  const isOfConfig = ({ field }: FieldProblem) => field.startsWith("config");
  const { fields: ofConfig, others } = problemsByField(all.filter(isOfConfig), paths);
  const rest = all.filter((problem) => !isOfConfig(problem) && !marks(problem.field));
  return {
    all,
    ofConfig,
    problemOf: (field) => {
      const first = all.find((one) => one.field === field || one.field.startsWith(`${field}.`));
      return first && sentenceOf(first);
    },
    sentences: [
      ...others,
      ...rest.map((problem) => `${problem.field}: ${sentenceOf(problem)}`),
      ...(found.length === 0 && refusal instanceof Error ? [refusal.message] : []),
      ...(all.length > others.length + rest.length ? ["Fix the fields that are marked in the form."] : []),
    ],
  };
}
