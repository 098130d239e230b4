import { useEffect, useState } from "react";
import type { ConfigDraft } from "@/api/types";
import { useLeaveGuard } from "@/components/navigation/use-leave-guard";
import { type Edit, forgetUnsaved, isSameEdit, keepUnsaved, readUnsaved } from "./unsaved";

/** The launch that is being written, kept in this tab until it is launched or discarded. */
export function useRunEdit(start: Edit, place: string) {
  const [initial] = useState(start);
  const [restored, setRestored] = useState(() => readUnsaved(place));
  const [edit, setEdit] = useState<Edit>(restored ?? initial);
  // A preset is a fresh start: only what changes after it counts as an edit.
  const [base, setBase] = useState<Edit>(initial);
  const isDirty = !isSameEdit(edit, base);
  useEffect(() => {
    if (isDirty) keepUnsaved(place, edit);
    else forgetUnsaved(place);
  }, [isDirty, edit, place]);
  const guard = useLeaveGuard(isDirty, () => forgetUnsaved(place));
  return {
    edit,
    change: (part: Partial<Edit>) => setEdit((now) => ({ ...now, ...part })),
    changeDraft: (make: (draft: ConfigDraft) => ConfigDraft) =>
      setEdit((now) => ({ ...now, draft: make(now.draft) })),
    isDraftEdited: edit.brokenYaml !== null || !isSameConfig(edit.draft, base.draft),
    startFrom: (preset: ConfigDraft) => {
      setEdit({ ...edit, draft: preset, brokenYaml: null });
      setBase({ ...base, draft: preset });
    },
    isRestored: restored !== null,
    dismissRestored: () => setRestored(null),
    discardRestored: () => {
      setEdit(initial);
      setBase(initial);
      setRestored(null);
    },
    guard,
  };
}

export const isSameConfig = (one: ConfigDraft, other: ConfigDraft): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
