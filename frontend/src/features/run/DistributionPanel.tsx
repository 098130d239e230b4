import { SegmentedControl } from "@mantine/core";
import { memo, useMemo, useState } from "react";
import type { Snapshot } from "@/api/snapshots";
import type { Module } from "@/api/types";
import { type Grouping, rankCountsFigure, rankGroups, rankGroupsFigure } from "@/charts/distribution";
import { useLook } from "@/charts/look";
import { Plot } from "@/charts/Plot";
import { Panel } from "@/components/Panel";

interface DistributionPanelProps {
  modules: readonly Module[];
  width: number;
  snapshot: Snapshot | undefined;
}

const titles: Record<Grouping, string> = {
  layer: "Live components of each layer",
  kind: "Live components of each kind of module",
  rank: "Modules at each rank",
};

/** Where the model spends its rank. */
export const DistributionPanel = memo(function DistributionPanel({
  modules,
  width,
  snapshot,
}: DistributionPanelProps) {
  const look = useLook();
  const [grouping, setGrouping] = useState<Grouping>("layer");
  const ranks = snapshot?.ranks;
  const figure = useMemo(() => {
    if (!ranks) return null;
    if (grouping === "rank") return rankCountsFigure(ranks, width, look);
    return rankGroupsFigure(rankGroups(modules, ranks, grouping), width, grouping, look);
  }, [ranks, grouping, modules, width, look]);
  if (!snapshot || !figure) return null;
  return (
    <Panel
      title={titles[grouping]}
      note={
        grouping === "rank"
          ? `At step ${snapshot.step}.`
          : `At step ${snapshot.step}; dots are the mean rank and its standard deviation.`
      }
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Distribution of the ranks"
          value={grouping}
          onChange={(next) => setGrouping(next as Grouping)}
          data={[
            { value: "layer", label: "By layer" },
            { value: "kind", label: "By kind" },
            { value: "rank", label: "By rank" },
          ]}
        />
      }
    >
      <Plot figure={figure} height={230} label={`${titles[grouping]} at step ${snapshot.step}.`} />
    </Panel>
  );
});
