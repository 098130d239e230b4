import {
  Alert,
  Group,
  SegmentedControl,
  Select,
  SimpleGrid,
  Skeleton,
  Slider,
  Stack,
  Text,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { isActive } from "@/api/active-runs";
import { toNumber } from "@/api/numbers";
import type { Comparison, RankDifference, RunSummary } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { heatmapFigure } from "@/charts/heatmap/heatmap";
import { heatmapHeight } from "@/charts/heatmap/heatmap-layout";
import { moduleGrid } from "@/charts/heatmap/module-grid";
import { meanings } from "@/charts/heatmap/rank-values";
import type { Figure } from "@/charts/plot/figure";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { methodCalled, useMethods } from "@/components/runs/methods";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { rankedRuns } from "@/features/compare/view/looks";
import { rankDifferenceQuery } from "@/features/compare/view/queries";
import type { ChangeView } from "@/features/compare/view/use-compare-view";
import type { Alignment, CompareView } from "@/features/compare/view/view";
import { agreementText, uniformOf } from "./agreement";
import { ModuleDifferences } from "./ModuleDifferences";
import { differenceHover, moduleDifferences, nearest, notAdapted, rankText, unpack } from "./rank-difference";

const alignmentLabels: Record<Alignment, string> = { step: "Step", progress: "Progress", budget: "Budget" };
const alignmentNotes: Record<Alignment, string> = {
  step: "Both runs at the same step.",
  progress: "Both runs at the same share of their planned steps.",
  budget: "Each run at its last snapshot with at least that many live components.",
};

interface RankDifferencePanelProps {
  comparison: Comparison;
  view: CompareView;
  onChange: ChangeView;
}

/** The ranks of two runs, A, B and A − B, over the training, and how similar the allocations are. */
export function RankDifferencePanel({ comparison, view, onChange }: RankDifferencePanelProps) {
  const methods = useMethods();
  const ranked = rankedRuns(comparison, (name) => methodCalled(name, methods));
  const a = ranked.find((run) => run.id === view.a) ?? ranked[0];
  const b = ranked.find((run) => run.id === view.b) ?? ranked.find((run) => run.id !== a?.id);
  if (!a || !b) return null;
  const choices = ranked.map((run) => ({ value: run.id, label: run.name }));
  return (
    <Panel
      title="Difference in ranks"
      note={`${alignmentNotes[view.align]} A cross is rank 0, an empty cell a module that the run doesn't adapt.`}
      actions={
        <Group gap="xs">
          <SideSelect side="A" value={a.id} data={choices} onChange={(id) => onChange({ a: id })} />
          <SideSelect side="B" value={b.id} data={choices} onChange={(id) => onChange({ b: id })} />
          <SegmentedControl
            size="xs"
            aria-label="Align the runs by"
            value={view.align}
            onChange={(next) => onChange({ align: next as Alignment, at: null })}
            data={(["step", "progress", "budget"] as const).map((one) => ({
              value: one,
              label: alignmentLabels[one],
            }))}
          />
        </Group>
      }
    >
      <Difference a={a} b={b} view={view} onChange={onChange} />
    </Panel>
  );
}

interface SideSelectProps {
  side: "A" | "B";
  value: string;
  data: { value: string; label: string }[];
  onChange: (id: string) => void;
}

const SideSelect = ({ side, value, data, onChange }: SideSelectProps) => (
  <Select
    size="xs"
    w={220}
    aria-label={`Run ${side}`}
    leftSection={<strong>{side}</strong>}
    data={data}
    value={value}
    onChange={(id) => id !== null && onChange(id)}
    allowDeselect={false}
  />
);

interface DifferenceProps {
  a: RunSummary;
  b: RunSummary;
  view: CompareView;
  onChange: ChangeView;
}

function Difference({ a, b, view, onChange }: DifferenceProps) {
  const found = useQuery(
    rankDifferenceQuery(a.id, b.id, view.align, isActive(a.status) || isActive(b.status)),
  );
  const data = found.data;
  if (!data)
    return found.error ? (
      <ErrorState error={found.error} onRetry={() => void found.refetch()} />
    ) : (
      <Skeleton height={320} />
    );
  return <Aligned a={a} b={b} data={data} view={view} onChange={onChange} />;
}

function Aligned({ a, b, data, view, onChange }: DifferenceProps & { data: RankDifference }) {
  const ranks = useMemo(() => unpack(data), [data]);
  /** While the slider is dragged; the address follows when it is released. */
  const [dragged, setDragged] = useState<number | null>(null);
  const last = data.positions.length - 1;
  const index = Math.min(last, dragged ?? nearest(data.positions, view.at));
  const [own, other] = [ranks.a[index], ranks.b[index]];
  const rows = useMemo(
    () => (own && other ? moduleDifferences(data.modules, own, other) : []),
    [data, own, other],
  );
  if (!own || !other) return null;
  const shared = rows.filter((row) => row.difference !== null);
  const spearman = toNumber(data.spearman[index] ?? "NaN");
  const kendall = toNumber(data.kendall[index] ?? "NaN");
  const uniform = uniformOf(
    shared.map((row) => row.a ?? 0),
    shared.map((row) => row.b ?? 0),
  );
  const where = positionText(data.align, data.positions[index] ?? 0);
  const moved = shared.filter((row) => row.difference !== 0).length;
  return (
    <Stack gap="sm">
      <Group gap="sm" wrap="nowrap">
        <Text size="xs" className="numbers" w={130} style={{ flexShrink: 0 }}>
          {where}
        </Text>
        <Slider
          style={{ flex: 1, minWidth: 60 }}
          size={4}
          thumbSize={16}
          min={0}
          max={Math.max(1, last)}
          disabled={last < 1}
          value={index}
          onChange={setDragged}
          onChangeEnd={(to) => {
            setDragged(null);
            onChange({ at: to === last ? null : (data.positions[to] ?? null) });
          }}
          label={(at) => positionText(data.align, data.positions[at] ?? 0)}
          thumbLabel="Position"
          data-testid="difference-slider"
        />
      </Group>
      <SimpleGrid cols={{ base: 1, md: 3 }} spacing="md">
        <OneSide side="A" run={a} data={data} index={index} rows={rows} ranks={ranks.a} other={ranks.b} />
        <OneSide side="B" run={b} data={data} index={index} rows={rows} ranks={ranks.b} other={ranks.a} />
        <OneSide side="A − B" run={a} data={data} index={index} rows={rows} ranks={ranks.a} other={ranks.b} />
      </SimpleGrid>
      <Alert color="blue" variant="light" p="sm" data-testid="agreement">
        <Text size="sm">
          <strong className="numbers">
            Spearman {number(spearman)}, Kendall {number(kendall)}
          </strong>{" "}
          over {plural(data.shared_modules, "module")}.{" "}
          {agreementText(spearman, data.shared_modules, uniform)}{" "}
          {shared.length ? `${count(moved)} of ${count(shared.length)} have another rank.` : ""}
        </Text>
      </Alert>
      <ModuleDifferences rows={rows} file={`ranks ${a.name} against ${b.name} ${where}`} />
    </Stack>
  );
}

interface OneSideProps {
  side: "A" | "B" | "A − B";
  run: RunSummary;
  data: RankDifference;
  index: number;
  rows: ReturnType<typeof moduleDifferences>;
  ranks: Uint16Array[];
  other: Uint16Array[];
}

function OneSide({ side, run, data, index, rows, ranks, other }: OneSideProps) {
  const look = useLook();
  const isDifference = side === "A − B";
  const grid = useMemo(() => moduleGrid(data.modules), [data.modules]);
  // One scale for the whole training, so that colours don't jump.
  const top = useMemo(
    () => (isDifference ? largestDifference(ranks, other) : Math.max(data.width_a, data.width_b)),
    [isDifference, ranks, other, data],
  );
  const byModule = useMemo(() => new Map(rows.map((row) => [row.index, row])), [rows]);
  const figureOf = useCallback(
    (look: Look): Figure => {
      const levels = {
        ranks: ranks[index] ?? new Uint16Array(),
        mean: new Float32Array(data.modules.length),
        max: new Float32Array(data.modules.length),
      };
      return heatmapFigure({
        modules: data.modules,
        grid,
        view: { levels, start: levels.ranks, before: other[index] ?? levels.ranks },
        colouring: isDifference ? "between" : "rank",
        ...{ top, look },
        isAbsent: (module) =>
          levels.ranks[module] === notAdapted || (isDifference && other[index]?.[module] === notAdapted),
        hoverOf: (module) => {
          const row = byModule.get(module);
          return row ? differenceHover(row.module, row.a, row.b) : "";
        },
      });
    },
    [data, grid, ranks, other, index, isDifference, top, byModule],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const height = Math.round(heatmapHeight(grid) * 0.85);
  const step = (side === "B" ? data.steps_b : data.steps_a)[index];
  const live = (side === "B" ? data.live_b : data.live_a)[index];
  return (
    <div data-testid={`difference-${isDifference ? "between" : side.toLowerCase()}`}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" fw={600} className="clip" title={isDifference ? undefined : run.name}>
          {isDifference ? "A − B" : `${side}: ${run.name}`}
        </Text>
        <ExportMenu
          label={`Export ${side}`}
          file={`${isDifference ? "rank difference" : run.name} step ${step}`}
          title={isDifference ? meanings.between.title : `${run.name} · rank of each module · step ${step}`}
          height={height}
          figureOf={figureOf}
          rows={() => differenceRows(rows)}
        />
      </Group>
      <Text size="xs" c="dimmed" className="numbers">
        {isDifference ? meanings.between.note : `step ${count(step)} · ${count(live)} live`}
      </Text>
      <Plot
        figure={figure}
        height={height}
        label={`${side}: ${meanings[isDifference ? "between" : "rank"].title}.`}
      />
    </div>
  );
}

export const differenceRows = (rows: ReturnType<typeof moduleDifferences>): object[] =>
  rows.map(({ module, a, b, difference }) => ({
    name: module.name,
    layer: module.layer,
    kind: module.kind,
    rank_a: rankText(a),
    rank_b: rankText(b),
    difference,
  }));

function largestDifference(a: readonly Uint16Array[], b: readonly Uint16Array[]): number {
  let most = 1;
  a.forEach((ranks, index) => {
    ranks.forEach((rank, module) => {
      const other = b[index]?.[module] ?? notAdapted;
      if (rank !== notAdapted && other !== notAdapted) most = Math.max(most, Math.abs(rank - other));
    });
  });
  return most;
}

function positionText(align: Alignment, at: number): string {
  if (align === "progress") return `${(100 * at).toFixed(1)} % of the steps`;
  return align === "budget" ? `${count(at)} components` : `step ${count(at)}`;
}

const number = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : "not defined");
