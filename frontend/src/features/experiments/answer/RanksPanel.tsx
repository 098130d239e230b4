import { Group, Select, SimpleGrid, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import type { Answer, ExperimentCell, ExperimentDetail, RankAgreement } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { heatmapFigure } from "@/charts/heatmap/heatmap";
import { heatmapHeight } from "@/charts/heatmap/heatmap-layout";
import { moduleGrid } from "@/charts/heatmap/module-grid";
import type { RankView } from "@/charts/heatmap/rank-values";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { plainText } from "@/charts/plot/plain-text";
import { Panel } from "@/components/layout/Panel";
import { plural } from "@/components/text/plural";
import { placesOf } from "./module-places";

type Ranked = ExperimentCell & { agreement: RankAgreement };

const nameOf = (cell: ExperimentCell, hasTasks: boolean): string =>
  `${cell.variant}, mean rank ${cell.budget}${hasTasks ? `, ${cell.task}` : ""}`;

/** Methods come before controls, and the ranks that the seeds agree on most come first. */
const interest = ({ role, agreement }: Ranked): number =>
  (role === "method" ? 10 : 0) + (agreement.is_given ? -5 : 0) + (agreement.spearman ?? -2);

/** The mean rank of every module over the seeds, for two cells side by side, and whether the seeds agree. */
export function RanksPanel({ answer, experiment }: { answer: Answer; experiment: ExperimentDetail }) {
  const hasTasks = experiment.tasks.length > 1;
  const cells = useMemo(
    () =>
      answer.cells
        .filter((cell): cell is Ranked => cell.agreement !== null && cell.agreement.spread > 0)
        .sort((one, other) => interest(other) - interest(one)),
    [answer],
  );
  const [chosen, setChosen] = useState<(string | null)[]>([null, null]);
  const names = cells.map((cell) => nameOf(cell, hasTasks));
  if (cells.length === 0) return null;
  const shown = [0, 1]
    .map((place) => Math.max(0, names.indexOf(chosen[place] ?? names[place] ?? "")))
    .slice(0, cells.length);
  const top = Math.max(1, ...shown.flatMap((index) => cells[index]?.agreement.mean_ranks ?? []));
  return (
    <Panel
      title="Where the rank is"
      note="Mean rank of each module over the seeds. Methods come first in the list, those whose seeds agree most at the top."
    >
      <SimpleGrid cols={{ base: 1, md: Math.min(2, shown.length) }} spacing="lg">
        {shown.map((index, place) => {
          const cell = cells[index];
          if (!cell) return null;
          return (
            <div key={place} data-testid="mean-ranks">
              <Group gap="xs" wrap="nowrap" mb={6}>
                <Select
                  size="xs"
                  aria-label={place === 0 ? "Left ranks" : "Right ranks"}
                  data={names}
                  value={names[index] ?? null}
                  onChange={(next) => setChosen(chosen.map((old, at) => (at === place ? next : old)))}
                  allowDeselect={false}
                  searchable
                  style={{ flex: 1 }}
                />
                <SaveRanks cell={cell} name={names[index] ?? ""} top={top} />
              </Group>
              <MeanRanks cell={cell} top={top} />
              <Text size="sm" mt={4}>
                {cell.agreement.text}
              </Text>
              <Text size="xs" c="dimmed" className="numbers">
                {detailsOf(cell.agreement)}
              </Text>
            </div>
          );
        })}
      </SimpleGrid>
    </Panel>
  );
}

function detailsOf({ seeds, lowest, highest, kendall_w, spread, unadapted }: RankAgreement): string {
  const range =
    lowest === null || highest === null ? null : `pairs ${lowest.toFixed(2)} to ${highest.toFixed(2)}`;
  return [
    plural(seeds, "seed"),
    range,
    kendall_w === null ? null : `Kendall's W ${kendall_w.toFixed(2)}`,
    `spread ${spread.toFixed(2)}`,
    `${unadapted.toFixed(1)} modules at rank 0`,
  ]
    .filter((part) => part !== null)
    .join(" · ");
}

function figureOf({ agreement }: Ranked, top: number, look: Look) {
  const modules = placesOf(agreement.modules);
  // One decimal, as the cells show it.
  const ranks = agreement.mean_ranks.map((rank) => Math.round(rank * 10) / 10);
  const zeros = new Float32Array(modules.length);
  const view = {
    levels: { ranks, mean: zeros, max: zeros },
    start: ranks,
    before: ranks,
  } as unknown as RankView;
  return heatmapFigure({
    modules,
    view,
    colouring: "rank",
    top: Math.ceil(top),
    look,
    hoverOf: (index) =>
      `<b>${plainText(agreement.modules[index] ?? "")}</b><br>mean rank ${(agreement.mean_ranks[index] ?? 0).toFixed(2)} over ${plural(agreement.seeds, "seed")}`,
  });
}

const heightOf = ({ agreement }: Ranked): number =>
  Math.round(heatmapHeight(moduleGrid(placesOf(agreement.modules))) * 0.85);

function MeanRanks({ cell, top }: { cell: Ranked; top: number }) {
  const look = useLook();
  const figure = useMemo(() => figureOf(cell, top, look), [cell, top, look]);
  return <Plot figure={figure} height={heightOf(cell)} label={`Mean rank of each module, ${cell.variant}`} />;
}

function SaveRanks({ cell, name, top }: { cell: Ranked; name: string; top: number }) {
  return (
    <ExportMenu
      label={`Export mean ranks of ${name}`}
      file={`mean ranks ${name}`}
      title={name}
      height={heightOf(cell)}
      figureOf={(look) => figureOf(cell, top, look)}
      rows={() =>
        cell.agreement.modules.map((module, index) => ({
          module,
          mean_rank: cell.agreement.mean_ranks[index] ?? null,
        }))
      }
    />
  );
}
