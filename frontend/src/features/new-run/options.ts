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
      return datasets?.map((dataset) => ({ value: dataset.id, label: `${dataset.name} (${dataset.id})` }));
    case "columns":
      return datasets
        ?.find((dataset) => dataset.id === valueAt(draft, "data.id"))
        ?.columns.map((column) => ({ value: column, label: column }));
    default:
      if (!field.path.endsWith("target_modules")) return undefined;
      return models
        ?.find((model) => model.id === valueAt(draft, "model.id"))
        ?.module_kinds.map((kind) => ({ value: kind, label: kind }));
  }
}
