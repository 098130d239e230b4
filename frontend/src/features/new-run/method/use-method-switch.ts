import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { http, unwrap } from "@/api/client";
import { valueAt, withValue } from "@/api/config";
import type { ConfigDraft, MethodSwitch, SwitchedMethod } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";

export interface MethodNotice {
  from: string;
  to: string;
  budget: number | null;
  changes: SwitchedMethod["changes"];
}

/** Switches the method through the API, at the same budget and that method's learning rate, and reports the changes. */
export function useMethodSwitch(
  draft: ConfigDraft,
  totalSteps: number | null,
  onDraft: (change: (draft: ConfigDraft) => ConfigDraft) => void,
) {
  /** Each method's options when it was last left, and the last mean rank that was carried over. */
  const left = useRef<Record<string, ConfigDraft>>({});
  const budget = useRef<number | null>(null);
  const [notice, setNotice] = useState<MethodNotice | null>(null);
  const mutation = useMutation({
    mutationFn: async (name: string) => {
      const before = valueAt(draft, "method");
      const from = String(valueAt(draft, "method.name") ?? "");
      if (typeof before === "object" && before !== null) left.current[from] = before as ConfigDraft;
      const switched = await unwrap(
        http.POST("/api/v1/runs/switch-method", {
          body: {
            config: draft,
            method: name as MethodSwitch["method"],
            earlier: left.current[name] ?? null,
            budget: budget.current,
            total_steps: totalSteps,
          },
        }),
      );
      return { from, to: name, switched };
    },
    onSuccess: ({ from, to, switched }) => {
      budget.current = switched.budget ?? budget.current;
      // Apply only the changes of the switch, to keep what was typed in the meantime.
      onDraft((now) =>
        switched.changes
          .filter((change) => !change.field.startsWith("method."))
          .reduce(
            (config, change) => withValue(config, change.field, change.after),
            withValue(now, "method", switched.config["method"]),
          ),
      );
      setNotice({ from, to, budget: switched.budget, changes: switched.changes });
    },
    onError: (error) => notifyError("Could not switch methods", error),
  });
  return {
    choose: (name: string) => mutation.mutate(name),
    isBusy: mutation.isPending,
    notice,
    setNotice,
    /** One of the reported changes was undone. */
    markUndone: (field: string) =>
      setNotice((now) => now && { ...now, changes: now.changes.filter((change) => change.field !== field) }),
  };
}
