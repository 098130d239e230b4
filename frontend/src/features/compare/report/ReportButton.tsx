import { Button } from "@mantine/core";
import { IconFileText } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { Comparison } from "@/api/types";
import { notifyError } from "@/components/feedback/toast";
import { methodCalled, useMethods } from "@/components/runs/methods";
import { metricCalled, useAllMetrics } from "@/components/runs/tasks";
import { loadPart } from "@/components/server/load-part";
import { rankedRuns } from "@/features/compare/view/looks";
import type { CompareView } from "@/features/compare/view/view";

/** Saves the comparison as one HTML file that opens offline. */
export function ReportButton({ comparison, view }: { comparison: Comparison; view: CompareView }) {
  const client = useQueryClient();
  const known = useAllMetrics();
  const methods = useMethods();
  const save = useMutation({
    mutationFn: async () => {
      const { saveReport } = await loadPart(() => import("./save-report"));
      await saveReport({
        ...{ client, comparison, view },
        infoOf: (name) => metricCalled(name, known),
        ranked: rankedRuns(comparison, (name) => methodCalled(name, methods)),
      });
    },
    onError: (error) => notifyError("Could not create the report", error),
  });
  return (
    <Button
      size="xs"
      variant="default"
      leftSection={<IconFileText size={15} />}
      loading={save.isPending}
      onClick={() => save.mutate()}
      data-testid="save-report"
    >
      Save report
    </Button>
  );
}
