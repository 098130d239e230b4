/** The task of a draft: switched by hand, or because another data set is chosen. */
import { valueAt, withValue } from "@/api/config";
import type { ConfigDraft, DatasetInfo } from "@/api/types";
import { datasetOf } from "./options";
import type { FormField, FormSection } from "./schema";

const bestMetric = "training.best_metric";
const headlineMetric = "task.headline_metric";

/** The draft with another task: its defaults, and the values of the options that both tasks have. */
export function withTask(draft: ConfigDraft, section: FormSection, name: string): ConfigDraft {
  const { choice, path } = section;
  if (!choice) return draft;
  const before = fieldsOf(section, String(valueAt(draft, choice.path)));
  let next = withValue({ ...draft, [path]: {} }, choice.path, name);
  for (const field of fieldsOf(section, name)) {
    const value = valueAt(draft, field.path);
    const kept =
      before.some((one) => one.path === field.path && one.kind === field.kind) &&
      (field.kind !== "choice" || field.choices.includes(String(value)));
    next = withValue(next, field.path, kept ? value : field.default);
  }
  // Another task has other metrics; empty stands for its main one.
  return withValue(next, bestMetric, null);
}

/** `next`, where the best checkpoint follows a headline metric that was just chosen. */
export const withBestByHeadline = (before: ConfigDraft, next: ConfigDraft): ConfigDraft =>
  valueAt(before, headlineMetric) === valueAt(next, headlineMetric)
    ? next
    : withValue(next, bestMetric, null);

/** `next` with the task and the split that fit its data set, if that is another one than in `before`. */
export function withLikelyTask(
  before: ConfigDraft,
  next: ConfigDraft,
  sections: readonly FormSection[],
  datasets: DatasetInfo[] | undefined,
): ConfigDraft {
  const section = sections.find((one) => one.path === "task");
  const dataset = datasetOf(datasets, next);
  if (valueAt(before, "data.id") === valueAt(next, "data.id") || !dataset || dataset.problem) return next;
  const name = section?.choice ? String(valueAt(next, section.choice.path)) : "";
  const isOther = section?.choice?.variants.some((one) => one.value === dataset.likely_task);
  let fitting =
    section && isOther && name !== dataset.likely_task ? withTask(next, section, dataset.likely_task) : next;
  if (isOther)
    for (const [option, value] of Object.entries(dataset.likely_options))
      fitting = withValue(fitting, `task.${option}`, value);
  const fields = [...sections.flatMap((one) => one.fields), ...fieldsOf(section, taskOf(section, fitting))];
  for (const field of fields) {
    // A column of the earlier data set that this one lacks.
    const chosen = [valueAt(fitting, field.path)].flat().filter((one) => typeof one === "string");
    if (field.optionsFrom === "columns" && chosen.some((one) => !dataset.columns.includes(one)))
      fitting = withValue(fitting, field.path, field.default);
  }
  // A data set that names its own split is used with it.
  fitting = withValue(fitting, "data.split", dataset.split_column ? "parts" : "share");
  for (const path of ["data.train_parts", "data.eval_parts"]) fitting = withValue(fitting, path, null);
  return fitting;
}

/** The sections; the best checkpoint can be chosen by the metrics of the task, or by the current choice. */
export function withMetricsOf(
  sections: FormSection[],
  metrics: readonly string[] | undefined,
  draft: ConfigDraft,
): FormSection[] {
  if (!metrics) return sections;
  const present = valueAt(draft, bestMetric);
  const choices =
    typeof present === "string" && !metrics.includes(present) ? [present, ...metrics] : [...metrics];
  return sections.map((section) => ({
    ...section,
    fields: section.fields.map((field) => (field.path === bestMetric ? { ...field, choices } : field)),
  }));
}

const taskOf = (section: FormSection | undefined, draft: ConfigDraft): string =>
  section?.choice ? String(valueAt(draft, section.choice.path)) : "";

const fieldsOf = (section: FormSection | undefined, name: string): FormField[] =>
  section?.choice?.variants.find((one) => one.value === name)?.fields ?? [];
