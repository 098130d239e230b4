import type { RunField } from "@/api/types";
import { count, metric } from "@/components/text/format";

/** A number of this field in readable form. */
export const numberText = (field: RunField, value: number): string =>
  field.kind === "integer" ? count(value) : field.name === "mean_rank" ? value.toFixed(2) : metric(value);
