import { valueAt } from "@/api/config";
import type { ConfigDraft, DataPlan, DatasetInfo, ModelInfo } from "@/api/types";
import type { Option } from "./FieldInput";
import type { FormField } from "./schema";

/** The choices that this installation has for a field; undefined: any value is allowed, or they are still loading. */
export function optionsFor(
  field: FormField,
  draft: ConfigDraft,
  models: ModelInfo[] | undefined,
  datasets: DatasetInfo[] | undefined,
  parts: DataPlan["split"]["parts"] | undefined = undefined,
): Option[] | undefined {
  switch (field.optionsFrom) {
    case "models":
      return models && distinct(models.map(optionOf));
    case "datasets":
      return (
        datasets &&
        distinct(
          datasets.map((dataset) =>
            dataset === datasetOf(datasets, draft)
              ? // A draft may have the short id; with another value here, nothing would appear as chosen.
                { ...optionOf(dataset), value: String(valueAt(draft, "data.id")) }
              : optionOf(dataset),
          ),
        )
      );
    case "columns":
      return plain(datasetOf(datasets, draft)?.columns);
    case "parts":
      return plain(parts?.map((part) => part.name));
    default:
      return undefined;
  }
}

/** The data set of a draft, by its id or short id. */
export function datasetOf(datasets: DatasetInfo[] | undefined, draft: ConfigDraft): DatasetInfo | undefined {
  const id = valueAt(draft, "data.id");
  return (
    datasets?.find((one) => one.id === id) ?? datasets?.find((one) => one.short_id === id && id !== null)
  );
}

/** An unusable entry is shown with its reason and cannot be chosen. */
function optionOf(entry: { id: string; name: string; problem: string | null }): Option {
  const label = entry.id === entry.name ? entry.id : `${entry.name} (${entry.id})`;
  return entry.problem
    ? { value: entry.id, label, problem: entry.problem, disabled: true }
    : { value: entry.id, label };
}

const plain = (values: string[] | undefined): Option[] | undefined =>
  values && distinct(values.map((value) => ({ value, label: value })));

/** Mantine's list rejects duplicate values. */
const distinct = (options: Option[]): Option[] => [
  ...new Map(options.map((option) => [option.value, option])).values(),
];
