import { Group, NativeSelect, SegmentedControl, Switch } from "@mantine/core";
import { memo } from "react";
import type { ModuleOrder } from "@/charts/heatmap/module-grid";
import { type Colouring, meanings } from "@/charts/heatmap/rank-values";
import type { RankSettings } from "./use-rank-settings";

interface RankControlsProps {
  colouring: Colouring;
  order: ModuleOrder;
  onChange: (change: Partial<RankSettings>) => void;
  isTable: boolean;
  onTable: (isTable: boolean) => void;
}

/** What the colour shows, and the order of the modules. */
export const RankControls = memo(function RankControls({
  colouring,
  order,
  onChange,
  isTable,
  onTable,
}: RankControlsProps) {
  const isScore = meanings[colouring].isScore;
  return (
    <Group gap="xs" mb="xs" justify="space-between">
      <Group gap="xs">
        <SegmentedControl
          size="xs"
          aria-label="What the colour shows"
          value={isScore ? "mean" : colouring}
          onChange={(next) => onChange({ colouring: next as Colouring })}
          data={[
            { value: "rank", label: "Rank" },
            { value: "mean", label: "Importance" },
            { value: "change", label: "Since start" },
            { value: "difference", label: "Last pruning" },
          ]}
        />
        {isScore ? (
          <SegmentedControl
            size="xs"
            aria-label="Importance of a module"
            value={colouring}
            onChange={(next) => onChange({ colouring: next as Colouring })}
            data={[
              { value: "mean", label: "Mean" },
              { value: "max", label: "Max" },
              { value: "sum", label: "Sum" },
            ]}
          />
        ) : null}
      </Group>
      <Group gap="sm">
        <NativeSelect
          size="xs"
          aria-label="Order of the modules"
          value={order}
          onChange={(event) => onChange({ order: event.currentTarget.value as ModuleOrder })}
          data={[
            { value: "layer", label: "By layer" },
            { value: "kind", label: "By kind" },
            { value: "rank", label: "By rank" },
          ]}
        />
        <Switch
          size="xs"
          label="Table"
          checked={isTable}
          onChange={(event) => onTable(event.currentTarget.checked)}
        />
      </Group>
    </Group>
  );
});
