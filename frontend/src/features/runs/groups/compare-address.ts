import type { RunGroup } from "@/api/types";

/** The comparison of these groups, or of the runs of a single one. */
export function compareAddress(groups: readonly RunGroup[]): string {
  const runs = groups.flatMap((group) => group.run_ids).join(",");
  return `/compare?runs=${runs}${groups.length > 1 ? "&group=seed" : ""}`;
}
