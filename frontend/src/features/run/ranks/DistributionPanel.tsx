import { Group, SegmentedControl } from "@mantine/core";
import { memo, useCallback, useMemo, useState } from "react";
import type { Snapshot } from "@/api/snapshots";
import type { Module } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { type Grouping, rankCountsFigure, rankGroups, rankGroupsFigure } from "@/charts/figures/distribution";
import type { Figure } from "@/charts/plot/figure";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";

interface DistributionPanelProps {
  /** Name of the run, for file names. */
  name: string;
  modules: readonly Module[];
  width: number;
  snapshot: Snapshot | undefined;
}

const titles: Record<Grouping, string> = {
  layer: "Live components of each layer",
  kind: "Live components of each kind of module",
  rank: "Modules at each rank",
};

/** How the ranks are distributed over the model. */
export const DistributionPanel = memo(function DistributionPanel({
  name,
  modules,
  width,
  snapshot,
}: DistributionPanelProps) {
  const look = useLook();
  const [grouping, setGrouping] = useState<Grouping>("layer");
  const ranks = snapshot?.ranks;
  const figureOf = useCallback(
    (look: Look): Figure => {
      if (!ranks) return { data: [], layout: {} };
      if (grouping === "rank") return rankCountsFigure(ranks, width, look);
      return rankGroupsFigure(rankGroups(modules, ranks, grouping), width, grouping, look);
    },
    [ranks, grouping, modules, width],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  if (!snapshot) return null;
  return (
    <Panel
      title={titles[grouping]}
      note={
        grouping === "rank"
          ? `At step ${count(snapshot.step)}.`
          : `At step ${count(snapshot.step)}; dots are the mean rank and its standard deviation.`
      }
      actions={
        <Group gap={6} wrap="nowrap">
          <SegmentedControl
            size="xs"
            aria-label="Distribution of ranks"
            value={grouping}
            onChange={(next) => setGrouping(next as Grouping)}
            data={[
              { value: "layer", label: "By layer" },
              { value: "kind", label: "By kind" },
              { value: "rank", label: "By rank" },
            ]}
          />
          <ExportMenu
            label={`Export ${titles[grouping].toLowerCase()}`}
            file={`${name} ${titles[grouping]} step ${snapshot.step}`}
            title={`${name} · ${titles[grouping]} at step ${snapshot.step}`}
            figureOf={figureOf}
          />
        </Group>
      }
    >
      <Plot figure={figure} height={230} label={`${titles[grouping]} at step ${snapshot.step}.`} />
    </Panel>
  );
});
