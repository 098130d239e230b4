import type { ConfigDraft } from "@/api/types";

/** A launch that is being edited. */
export interface Edit {
  draft: ConfigDraft;
  name: string;
  priority: number;
  tags: string[];
  notes: string;
  /** Text that is not valid YAML yet; launching is disabled until it is fixed or discarded. */
  brokenYaml: { text: string; error: string } | null;
}

export const isSameEdit = (one: Edit, other: Edit): boolean => JSON.stringify(one) === JSON.stringify(other);

const prefix = "rankscope.unsaved.";

/** Edits of this tab that a crash, a reload or an expired session interrupted; null if there are none. */
export function readUnsaved(key: string): Edit | null {
  try {
    const stored: unknown = JSON.parse(window.sessionStorage.getItem(prefix + key) ?? "null");
    return isEdit(stored) ? stored : null;
  } catch {
    return null;
  }
}

export function keepUnsaved(key: string, edit: Edit): void {
  try {
    window.sessionStorage.setItem(prefix + key, JSON.stringify(edit));
  } catch {
    // Without storage the edit can't be restored later, but it is not lost now.
  }
}

export function forgetUnsaved(key: string): void {
  try {
    window.sessionStorage.removeItem(prefix + key);
  } catch {
    // Then nothing was stored either.
  }
}

function isEdit(value: unknown): value is Edit {
  return (
    typeof value === "object" &&
    value !== null &&
    "draft" in value &&
    typeof value.draft === "object" &&
    value.draft !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    "priority" in value &&
    typeof value.priority === "number" &&
    "tags" in value &&
    Array.isArray(value.tags) &&
    "notes" in value &&
    typeof value.notes === "string" &&
    "brokenYaml" in value
  );
}
