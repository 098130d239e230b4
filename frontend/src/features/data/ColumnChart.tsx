import { Group, SegmentedControl, Select, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import type { DataProfile } from "@/api/types";
import { histogramFigure, namedBarsFigure } from "@/charts/figures/bars";
import { useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { count } from "@/components/text/format";

const mostBars = 20;

export type ChartedColumn = Pick<DataProfile["columns"][number], "name" | "distinct" | "values" | "lengths">;

interface ColumnChartProps {
  columns: ChartedColumn[];
  /** The column that is shown first, if it can be. */
  target: string | null;
}

/** A chart of one column: its values, or the lengths of its texts. */
export function ColumnChart({ columns, target }: ColumnChartProps) {
  const look = useLook();
  const [chosen, setChosen] = useState<string | null>(null);
  const [kind, setKind] = useState<"values" | "lengths" | null>(null);
  const charted = columns.filter((column) => column.values.length || column.lengths);
  const column =
    charted.find((one) => one.name === chosen) ?? charted.find((one) => one.name === target) ?? charted[0];
  const lengths = column?.lengths;
  // The most frequent of many different texts are not informative.
  const wanted = kind ?? (column && column.distinct > mostBars ? "lengths" : "values");
  const shows = wanted === "lengths" && lengths ? "lengths" : column?.values.length ? "values" : "lengths";
  const figure = useMemo(() => {
    if (!column) return null;
    if (shows === "lengths")
      return lengths ? histogramFigure(lengths.edges, lengths.counts, "characters", "rows", look) : null;
    const bars = column.values.slice(0, mostBars).map(([name, value]) => ({ name, value }));
    return namedBarsFigure(bars, "rows", look);
  }, [column, lengths, shows, look]);
  const bars = Math.min(mostBars, column?.values.length ?? 0);
  return (
    <Panel
      title={shows === "lengths" ? "Lengths of texts" : "Values"}
      actions={
        <Group gap="xs">
          {column?.values.length && lengths ? (
            <SegmentedControl
              size="xs"
              aria-label="What the chart shows"
              value={shows}
              onChange={(next) => setKind(next as "values" | "lengths")}
              data={[
                { value: "values", label: "Values" },
                { value: "lengths", label: "Lengths" },
              ]}
            />
          ) : null}
          <Select
            size="xs"
            w={170}
            aria-label="Column of the chart"
            data={charted.map((one) => one.name)}
            value={column?.name ?? null}
            onChange={setChosen}
            allowDeselect={false}
          />
        </Group>
      }
    >
      {figure && column ? (
        <Plot
          figure={figure}
          height={shows === "values" ? Math.max(140, 26 * bars + 50) : 240}
          label={
            shows === "lengths"
              ? `Number of rows by the length of ${column.name} in characters.`
              : `Number of rows for each value of ${column.name}.`
          }
        />
      ) : (
        <Text size="sm" c="dimmed">
          There is nothing to chart: every column has too many different values, and none has texts.
        </Text>
      )}
      {shows === "lengths" && lengths ? (
        <Text size="xs" c="dimmed">
          {count(Math.round(lengths.mean))} characters on average, {count(lengths.longest)} at most.
        </Text>
      ) : column && column.distinct > mostBars ? (
        <Text size="xs" c="dimmed">
          The {bars} most frequent of {count(column.distinct)} values.
        </Text>
      ) : null}
    </Panel>
  );
}
