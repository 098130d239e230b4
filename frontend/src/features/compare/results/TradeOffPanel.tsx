import { Group, Select, Text } from "@mantine/core";
import { useCallback, useMemo } from "react";
import type { Comparison } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { type TradeOff, tradeOffFigure } from "@/charts/figures/trade-off";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { metricCalled, useAllMetrics } from "@/components/runs/tasks";
import { bytes, duration, shortCount } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { groupLook } from "@/features/compare/view/looks";
import type { ChangeView } from "@/features/compare/view/use-compare-view";
import { type CompareView, type Cost, costs } from "@/features/compare/view/view";
import { meanOf } from "./result-rows";

const costLabels: Record<Cost, string> = {
  kept_parameters: "Kept parameters",
  live_parameters: "Live parameters",
  trained_s: "Training time",
  peak_memory_bytes: "Peak memory",
};

const costTexts: Record<Cost, (value: number) => string> = {
  kept_parameters: shortCount,
  live_parameters: shortCount,
  trained_s: duration,
  peak_memory_bytes: bytes,
};

/** Units of the axis. */
const costTitles: Record<Cost, string> = {
  kept_parameters: "kept parameters",
  live_parameters: "live parameters",
  trained_s: "training time in seconds",
  peak_memory_bytes: "peak memory in bytes",
};

interface TradeOffPanelProps {
  comparison: Comparison;
  view: CompareView;
  onChange: ChangeView;
}

/** A metric against what it costs, with the Pareto front. */
export function TradeOffPanel({ comparison, view, onChange }: TradeOffPanelProps) {
  const look = useLook();
  const known = useAllMetrics();
  const verdicts = comparison[view.of];
  const verdict = verdicts.find((one) => one.name === view.against) ?? verdicts[0];
  const info = metricCalled(verdict?.name ?? "", known);
  const { cost } = view;
  const pointsOf = useCallback(
    (look: Look): TradeOff[] =>
      comparison.groups.flatMap((group, index) => {
        const spread = verdict?.groups[index];
        const amount = meanOf(group, (id) => comparison.costs.find((one) => one.run_id === id)?.[cost]);
        if (amount === null || spread?.mean === null || spread?.mean === undefined) return [];
        return [
          {
            name: group.name,
            cost: amount,
            value: spread.mean,
            sd: spread.sd ?? null,
            colour: groupLook(look, index).colour,
          },
        ];
      }),
    [comparison, verdict, cost],
  );
  const figureOf = useCallback(
    (look: Look) =>
      tradeOffFigure({
        points: pointsOf(look),
        lowerIsBetter: info.lower_is_better,
        costTitle: costTitles[cost],
        valueTitle: info.title,
        costText: costTexts[cost],
        look,
      }),
    [pointsOf, info.lower_is_better, info.title, cost],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const points = pointsOf(look);
  const missing = comparison.groups.length - points.length;
  if (!verdict) return null;
  return (
    <Panel
      title="Quality against cost"
      note={`${view.of === "best" ? "Best" : "Last"} value of each run. Filled points are on the Pareto front: nothing cheaper is better.${missing ? ` ${plural(missing, "group")} without both numbers ${missing === 1 ? "is" : "are"} not shown.` : ""}`}
      actions={
        <Group gap="xs">
          <Select
            size="xs"
            w={190}
            aria-label="Metric"
            data={verdicts.map(({ name }) => ({ value: name, label: metricCalled(name, known).title }))}
            value={verdict.name}
            onChange={(against) => onChange({ against: against ?? "" })}
            allowDeselect={false}
          />
          <Select
            size="xs"
            w={160}
            aria-label="Cost"
            data={costs.map((one) => ({ value: one, label: costLabels[one] }))}
            value={cost}
            onChange={(next) => onChange({ cost: (next ?? "kept_parameters") as Cost })}
            allowDeselect={false}
          />
          <ExportMenu
            label="Export quality against cost"
            file={`compare ${verdict.name} against ${cost}`}
            title={`${info.title} against ${costTitles[cost]}`}
            figureOf={figureOf}
            rows={() =>
              pointsOf(look).map(({ name, value, sd, cost: amount }) => ({ name, [cost]: amount, value, sd }))
            }
          />
        </Group>
      }
    >
      {points.length ? (
        <Plot
          figure={figure}
          height={360}
          label={`${info.title} of ${plural(points.length, "group")} against ${costTitles[cost]}.`}
        />
      ) : (
        <Text size="sm" c="dimmed">
          No run has both numbers yet. Kept parameters are known when a run is done.
        </Text>
      )}
    </Panel>
  );
}
