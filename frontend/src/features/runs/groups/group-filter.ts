import type { RunField, RunGroup } from "@/api/types";

/** The condition in the filter language that the runs of a group meet, and no others. */
export function groupFilter(filter: string, by: readonly RunField[], keys: RunGroup["keys"]): string {
  const own = by.map((field, place) => condition(field, keys[place] ?? null));
  return [...(filter ? [`(${filter})`] : []), ...own].join(" and ");
}

function condition({ name }: RunField, key: RunGroup["keys"][number]): string {
  if (key === null) return `${name} is null`;
  if (typeof key !== "string") return `${name} = ${key}`;
  return `${name} = "${key.replace(/["\\]/g, "\\$&")}"`;
}
