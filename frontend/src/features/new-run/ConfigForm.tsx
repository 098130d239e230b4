import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { valueAt } from "@/api/config";
import { datasetsQuery } from "@/api/queries";
import type { DataPlan } from "@/api/types";
import { useMethod } from "@/components/runs/methods";
import { tasksQuery } from "@/components/runs/tasks";
import { optionsFor } from "./form/options";
import { SchemaForm, type SchemaFormProps } from "./form/SchemaForm";
import type { FormSection } from "./form/schema";
import { withBestByHeadline, withLikelyTask, withMetricsOf, withTask } from "./form/task";
import { ModuleField } from "./modules/ModuleField";
import { modelsQuery } from "./queries";

interface ConfigFormProps extends Pick<SchemaFormProps, "draft" | "onDraft" | "errors" | "origin" | "below"> {
  /** Every section of a configuration. */
  sections: FormSection[];
  /** The sections and fields that this form has. */
  shown?: FormSection[];
  /** Of a form that has the method. */
  onMethod?: (name: string) => void;
  isSwitchingMethod?: boolean;
  afterMethod?: ReactNode;
  /** Rank of every module at the start; null while it is unknown. */
  rank?: number | null;
  /** Parts of the chosen data set. */
  parts?: DataPlan["split"]["parts"] | undefined;
}

/** The fields of a configuration, with the choices that this installation has. */
export function ConfigForm({
  sections,
  shown = sections,
  draft,
  onDraft,
  onMethod,
  isSwitchingMethod = false,
  afterMethod,
  rank = null,
  parts,
  ...form
}: ConfigFormProps) {
  const models = useQuery(modelsQuery);
  const datasets = useQuery(datasetsQuery);
  const tasks = useQuery(tasksQuery).data;
  const task = valueAt(draft, "task.name");
  const method = useMethod(String(valueAt(draft, "method.name")));
  return (
    <SchemaForm
      {...form}
      sections={withMetricsOf(shown, tasks?.find((one) => one.name === task)?.best_by, draft)}
      draft={draft}
      onDraft={(next) =>
        onDraft(withLikelyTask(draft, withBestByHeadline(draft, next), sections, datasets.data))
      }
      optionsOf={(field) => optionsFor(field, draft, models.data, datasets.data, parts)}
      onVariant={(section, value) =>
        section.path === "method" ? onMethod?.(value) : onDraft(withTask(draft, section, value))
      }
      inputs={{
        modules: (props) => (
          <ModuleField
            {...props}
            model={models.data?.find((one) => one.id === valueAt(draft, "model.id"))?.id ?? ""}
            rank={rank}
            hasScales={method.trains_scales}
          />
        ),
      }}
      switching={isSwitchingMethod ? "method" : null}
      afterChoice={{ method: afterMethod }}
    />
  );
}
