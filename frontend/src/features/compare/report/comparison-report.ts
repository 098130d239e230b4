/** The parts of a comparison's report, from the API's responses. */
import { toNumber } from "@/api/numbers";
import type { ComparedCurves, Comparison, MetricInfo, RankDifference } from "@/api/types";
import { type TradeOff, tradeOffFigure } from "@/charts/figures/trade-off";
import { heatmapFigure } from "@/charts/heatmap/heatmap";
import { heatmapHeight } from "@/charts/heatmap/heatmap-layout";
import { moduleGrid } from "@/charts/heatmap/module-grid";
import { labelTraces } from "@/charts/plot/cell-labels";
import type { Figure } from "@/charts/plot/figure";
import { darkLook, type Look, lightLook } from "@/charts/plot/look";
import { bytes, configValue, count, duration, metric, missing, shortCount } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { axisNotes, drawnAxis } from "@/features/compare/curves/curve-axis";
import { metricFigure } from "@/features/compare/curves/metric-figure";
import { agreementText, uniformOf } from "@/features/compare/ranks/agreement";
import { moduleDifferences, notAdapted, rankText, unpack } from "@/features/compare/ranks/rank-difference";
import { deltaTo, meanOf, numbersOf, signedMetric } from "@/features/compare/results/result-rows";
import { baselineOf, groupLook, keyOf } from "@/features/compare/view/looks";
import type { CompareView } from "@/features/compare/view/view";
import type { ReportChart, ReportPart } from "./report-html";

export interface ReportData {
  comparison: Comparison;
  curves: ComparedCurves | null;
  metrics: string[];
  difference: { data: RankDifference; a: string; b: string } | null;
  view: CompareView;
  infoOf: (name: string) => MetricInfo;
}

const mostMetrics = 12;
const mostModules = 20;

const both = (
  title: string,
  height: number,
  figureOf: (look: Look) => Figure,
  note?: string,
): ReportChart => {
  const whole = (look: Look): Figure => {
    const figure = figureOf(look);
    return { ...figure, data: [...figure.data, ...(labelTraces(figure.labels ?? []) as Figure["data"])] };
  };
  return { title, height, light: whole(lightLook), dark: whole(darkLook), ...(note ? { note } : {}) };
};

export function reportParts(data: ReportData): ReportPart[] {
  const { comparison } = data;
  return [
    ...comparison.cautions.map(
      (caution): ReportPart => ({
        text: `${caution.title}. ${caution.detail} ${caution.next_step}`,
        isWarning: true,
      }),
    ),
    ...results(data),
    ...curveCharts(data),
    ...tradeOff(data),
    ...ranks(data),
    differences(comparison),
    runs(comparison),
  ];
}

function results({ comparison, view, infoOf }: ReportData): ReportPart[] {
  const { groups } = comparison;
  const verdicts = comparison[view.of].slice(0, mostMetrics);
  const baseline = baselineOf(groups, view.base);
  const rows = groups.map((group, index) => {
    const numbers = numbersOf(group, comparison);
    const cells = verdicts.map((verdict) => {
      const [own, base] = [verdict.groups[index], verdict.groups[baseline]];
      const delta =
        index === baseline ? null : deltaTo(own?.mean, base?.mean, infoOf(verdict.name).lower_is_better);
      const sd = own?.sd === null || own?.sd === undefined ? "" : ` ± ${metric(own.sd)}`;
      const mark = verdict.winner === index ? " (ahead)" : "";
      return `${metric(own?.mean)}${sd}${delta ? ` [${signedMetric(delta.difference)}]` : ""}${mark}`;
    });
    return [
      `${group.name}${index === baseline ? " (baseline)" : ""}`,
      String(group.run_ids.length),
      ...cells,
      shortCount(numbers.kept),
      numbers.meanRank === null ? missing : numbers.meanRank.toFixed(2),
      numbers.trained === null ? missing : duration(numbers.trained),
      numbers.memory === null ? missing : bytes(numbers.memory),
    ];
  });
  const head = [
    "Group",
    "Runs",
    ...verdicts.map((verdict) => infoOf(verdict.name).title),
    ...["Kept", "Mean rank", "Time", "Memory"],
  ];
  return [
    {
      table: {
        title: "Results",
        note: `${view.of === "best" ? "The best value of each run, after its final mask" : "The last value of each run"}; mean ± standard deviation over runs; in brackets the difference to the baseline.`,
        head,
        rows,
        right: head.map((_, column) => column).slice(1),
      },
    },
    ...verdicts
      .slice(0, 3)
      .map((verdict): ReportPart => ({ text: `${infoOf(verdict.name).title}: ${verdict.sentence}` })),
  ];
}

function curveCharts({ curves, metrics, view, infoOf }: ReportData): ReportPart[] {
  if (!curves) return [];
  const most = Math.max(0, ...curves.curves.map((curve) => curve.x.reduce((top, x) => Math.max(top, x), 0)));
  const drawn = drawnAxis(curves.axis, most);
  const charts = metrics
    .filter((name) => curves.curves.some((curve) => curve.name === name))
    .map((name) =>
      both(
        infoOf(name).title,
        320,
        (look) =>
          metricFigure({
            name,
            data: curves,
            drawn,
            hidden: view.hidden,
            isLog: view.isLog,
            look,
            forFile: false,
          }),
        axisNotes[curves.axis],
      ),
    );
  if (!charts.length) return [];
  const legend = curves.groups.flatMap((group, index) => {
    if (view.hidden.includes(keyOf(group))) return [];
    const [light, dark] = [groupLook(lightLook, index), groupLook(darkLook, index)];
    const dash = { solid: "none", dash: "7 4", dot: "2 4" }[light.dash];
    return [{ name: group.name, light: light.colour, dark: dark.colour, dash }];
  });
  return [{ legend }, { charts }];
}

function tradeOff({ comparison, view, infoOf }: ReportData): ReportPart[] {
  const verdict = comparison[view.of].find((one) => one.name === view.against) ?? comparison[view.of][0];
  if (!verdict) return [];
  const pointsOf = (look: Look): TradeOff[] =>
    comparison.groups.flatMap((group, index) => {
      const own = verdict.groups[index];
      const cost = meanOf(group, (id) => comparison.costs.find((one) => one.run_id === id)?.[view.cost]);
      if (cost === null || own?.mean === null || own?.mean === undefined) return [];
      return [{ name: group.name, cost, value: own.mean, sd: own.sd, colour: groupLook(look, index).colour }];
    });
  if (pointsOf(lightLook).length === 0) return [];
  const costTitle = view.cost.replace("_s", " in seconds").replaceAll("_", " ");
  return [
    {
      charts: [
        both(
          `${infoOf(verdict.name).title} against ${costTitle}`,
          340,
          (look) =>
            tradeOffFigure({
              points: pointsOf(look),
              lowerIsBetter: infoOf(verdict.name).lower_is_better,
              valueTitle: infoOf(verdict.name).title,
              costText: shortCount,
              ...{ costTitle, look },
            }),
          "Filled points are on the Pareto front: nothing cheaper is better.",
        ),
      ],
    },
  ];
}

function ranks({ difference }: ReportData): ReportPart[] {
  if (!difference) return [];
  const { data, a, b } = difference;
  const last = data.positions.length - 1;
  const all = unpack(data);
  const [own, other] = [all.a[last], all.b[last]];
  if (!own || !other) return [];
  const rows = moduleDifferences(data.modules, own, other);
  const shared = rows.filter((row) => row.difference !== null);
  const grid = moduleGrid(data.modules);
  const height = Math.round(heatmapHeight(grid) * 0.85);
  const top = Math.max(1, ...shared.map((row) => Math.abs(row.difference ?? 0)));
  const heatmap = (ranks: Uint16Array, before: Uint16Array, isDifference: boolean) => (look: Look) =>
    heatmapFigure({
      modules: data.modules,
      grid,
      view: {
        levels: { ranks, mean: new Float32Array(ranks.length), max: new Float32Array(ranks.length) },
        start: ranks,
        before,
      },
      colouring: isDifference ? "between" : "rank",
      top: isDifference ? top : Math.max(data.width_a, data.width_b),
      look,
      isAbsent: (module) => ranks[module] === notAdapted || (isDifference && before[module] === notAdapted),
    });
  const uniform = uniformOf(
    shared.map((row) => row.a ?? 0),
    shared.map((row) => row.b ?? 0),
  );
  const number = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : "not defined");
  const spearman = toNumber(data.spearman[last] ?? "NaN");
  const kendall = toNumber(data.kendall[last] ?? "NaN");
  return [
    {
      charts: [
        both(`Ranks of A: ${a}`, height, heatmap(own, own, false), `step ${count(data.steps_a[last])}`),
        both(`Ranks of B: ${b}`, height, heatmap(other, other, false), `step ${count(data.steps_b[last])}`),
        both("Difference in rank, A − B", height, heatmap(own, other, true)),
      ],
    },
    {
      text: `Spearman ${number(spearman)}, Kendall ${number(kendall)} over ${plural(data.shared_modules, "module")}. ${agreementText(spearman, data.shared_modules, uniform)}`,
    },
    {
      table: {
        title: "Modules by difference in rank",
        note: rows.length > mostModules ? `The ${mostModules} largest of ${rows.length}.` : undefined,
        head: ["Module", "A", "B", "A − B"],
        rows: rows
          .slice(0, mostModules)
          .map((row) => [
            row.module.name,
            rankText(row.a),
            rankText(row.b),
            row.difference === null ? "" : String(row.difference),
          ]),
        right: [1, 2, 3],
      },
    },
  ];
}

function differences({ runs: every, groups, differences: fields }: Comparison): ReportPart {
  const places = groups.map((group) => every.findIndex((run) => run.id === keyOf(group)));
  const rows = fields
    .map(({ field, values }) => ({ field, values: places.map((place) => values[place] ?? null) }))
    .filter(({ values }) => values.some((value) => JSON.stringify(value) !== JSON.stringify(values[0])))
    .map(({ field, values }) => [
      field,
      ...values.map((value) => (value === null ? missing : configValue(value))),
    ]);
  return {
    table: {
      title: "Configuration differences",
      note: rows.length
        ? "Fields that are equal in all groups are omitted."
        : "The configurations are equal.",
      head: ["Field", ...groups.map((group) => group.name)],
      rows,
    },
  };
}

const runs = (comparison: Comparison): ReportPart => ({
  table: {
    title: "Runs",
    head: ["Run", "Id", "Status", "Model", "Data", "Steps"],
    rows: comparison.runs.map((run) => [
      run.name,
      run.id,
      run.status,
      run.model_id,
      run.data_id,
      `${count(run.step)} of ${count(run.total_steps)}`,
    ]),
  },
});
