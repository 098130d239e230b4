import type { RunField } from "@/api/types";

/** A field's title in the head of a column: without "Evaluation", so that the rest fits. */
export function columnTitle(field: RunField): string {
  const title = field.name.startsWith("metrics.") ? field.title.replace(/^Evaluation /, "") : field.title;
  return title.charAt(0).toUpperCase() + title.slice(1);
}
