/** The figure and the rows of one metric of all groups. */
import type { ComparedCurves, Comparison } from "@/api/types";
import { type Curve, curvesFigure } from "@/charts/figures/curves";
import type { Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import { groupLook, keyOf } from "@/features/compare/view/looks";
import type { DrawnAxis } from "./curve-axis";

export const mostMetrics = 8;
/** With more curves, the text at the pointer would cover the chart: the table below it has the values. */
const mostHovered = 8;

interface MetricFigureInput {
  name: string;
  data: ComparedCurves;
  drawn: DrawnAxis;
  hidden: readonly string[];
  isLog: boolean;
  look: Look;
  /** With a legend. */
  forFile: boolean;
}

/** One metric of all groups. */
export function metricFigure({ name, data, drawn, hidden, isLog, look, forFile }: MetricFigureInput): Figure {
  const curves = data.curves.flatMap((curve): Curve[] => {
    const group = data.groups[curve.group];
    if (curve.name !== name || !group || hidden.includes(keyOf(group))) return [];
    const { colour, dash } = groupLook(look, curve.group);
    return [
      {
        name: group.name,
        x: drawn.by === 1 ? curve.x : curve.x.map((x) => x / drawn.by),
        values: curve.values,
        ...(curve.sd ? { spread: curve.sd } : {}),
        ...{ colour, dash },
        hasMarkers: curve.x.length <= 40,
      },
    ];
  });
  return curvesFigure({
    curves,
    look,
    isLog,
    xTitle: drawn.title,
    xFormat: drawn.format,
    isReversed: drawn.isReversed,
    hasLegend: forFile && curves.length > 1,
    hoversNearest: curves.length > mostHovered,
  });
}

/** The drawn points, a row each. */
export const curveRows = (name: string, data: ComparedCurves, drawn: DrawnAxis): object[] =>
  data.curves
    .filter((curve) => curve.name === name)
    .flatMap((curve) => {
      const group = data.groups[curve.group];
      return curve.x.map((x, index) => ({
        group: group?.name ?? "",
        runs: (group?.run_ids ?? []).join(" "),
        [drawn.title.replaceAll(" ", "_")]: x / drawn.by,
        value: curve.values[index] ?? null,
        sd: curve.sd?.[index] ?? null,
        n: curve.n?.[index] ?? 1,
      }));
    });

/** The chosen metrics that a run has; without a choice, the headline metrics and the train loss. */
export function shownMetrics(
  chosen: readonly string[],
  { runs }: Comparison,
  names: readonly string[],
): string[] {
  const wanted = chosen.filter((name) => names.includes(name));
  if (wanted.length) return wanted.slice(0, mostMetrics);
  const usual = [...new Set([...runs.map((run) => run.headline.name), "train_loss"])];
  const found = usual.filter((name) => names.includes(name)).slice(0, 2);
  return found.length ? found : names.slice(0, 1);
}
