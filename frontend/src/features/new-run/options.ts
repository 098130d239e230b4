import type { ConfigDraft, DatasetInfo, ModelInfo } from "@/api/types";
import { valueAt } from "./draft";
import type { Option } from "./FieldInput";
import type { FormField } from "./schema";

/** The choices that this installation has for a field; undefined: anything goes, or they are still loading. */
export function optionsFor(
  field: FormField,
  draft: ConfigDraft,
  models: ModelInfo[] | undefined,
  datasets: DatasetInfo[] | undefined,
): Option[] | undefined {
  switch (field.optionsFrom) {
    case "models":
      return models?.map((model) => ({ value: model.id, label: `${model.name} (${model.id})` }));
    case "datasets":
      return datasets?.map((dataset) => ({
        // A draft may name it by its short id; another value here would show as nothing chosen.
        value: dataset === datasetOf(datasets, draft) ? String(valueAt(draft, "data.id")) : dataset.id,
        label: `${dataset.name} (${dataset.id})`,
      }));
    case "columns":
      return datasetOf(datasets, draft)?.columns.map((column) => ({ value: column, label: column }));
    default:
      if (!field.path.endsWith("target_modules")) return undefined;
      return models
        ?.find((model) => model.id === valueAt(draft, "model.id"))
        ?.module_kinds.map((kind) => ({ value: kind, label: kind }));
  }
}

/** The data set that a draft names, by its id or by its short id. */
export function datasetOf(datasets: DatasetInfo[] | undefined, draft: ConfigDraft): DatasetInfo | undefined {
  const id = valueAt(draft, "data.id");
  return (
    datasets?.find((one) => one.id === id) ?? datasets?.find((one) => one.short_id === id && id !== null)
  );
}
