import type { ExperimentCell, VariantComparison, Verdict } from "@/api/types";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import { colourOf, type Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";

/** The factor and name of the shown unit, for example 100 and "points". */
interface Shown {
  factor: number;
  digits: number;
  name: string;
}

const rowHeight = 26;
/** With the label above its row. */
const narrowRowHeight = 42;

export const differencesHeight = (rows: number, isNarrow: boolean): number =>
  84 + (isNarrow ? narrowRowHeight : rowHeight) * Math.max(rows, 1);

const verdictColour = (verdict: Verdict, look: Look): string =>
  verdict === "better"
    ? colourOf(look, 2)
    : verdict === "worse"
      ? look.alarm
      : verdict === "equivalent"
        ? colourOf(look, 0)
        : look.muted;

/**
 * One row per comparison: the difference at each seed as a small ring, their mean with its 95 % interval, and the margin
 * as a band around 0. On a narrow screen, labels are above their rows.
 */
export function differencesFigure(
  comparisons: readonly VariantComparison[],
  labels: readonly string[],
  margin: number,
  shown: Shown,
  look: Look,
  isNarrow = false,
): Figure {
  const { factor, digits } = shown;
  const seeds = comparisons.flatMap((one, row) =>
    one.pairs.flatMap((pair) =>
      pair.value === null || pair.reference_value === null
        ? []
        : [
            {
              row,
              x: (pair.value - pair.reference_value) * factor,
              seed: pair.seed,
              isOdd: Boolean(pair.collapse ?? pair.reference_collapse),
            },
          ],
    ),
  );
  const known = comparisons
    .map((one, row) => ({ one, row, mean: one.difference.mean }))
    .filter((each): each is typeof each & { mean: number } => each.mean !== null);
  const limits = known.flatMap(({ one, mean }) => [
    mean * factor,
    (one.difference.interval?.low ?? mean) * factor,
    (one.difference.interval?.high ?? mean) * factor,
  ]);
  const edge = margin * factor;
  return {
    data: [
      {
        type: "scatter",
        mode: "markers",
        name: "seed",
        x: seeds.map((one) => one.x),
        y: seeds.map((one) => one.row),
        marker: {
          size: 6,
          symbol: seeds.map((one) => (one.isOdd ? "x-thin" : "circle-open")),
          color: look.muted,
          line: { width: 1.2, color: look.muted },
        },
        text: seeds.map(
          (one) => `seed ${one.seed}: ${one.x.toFixed(digits)}${one.isOdd ? ", a trial collapsed" : ""}`,
        ),
        hovertemplate: "%{text}<extra></extra>",
      },
      ...known.map(({ one, row, mean }) => {
        const { interval } = one.difference;
        const color = verdictColour(one.verdict, look);
        return {
          type: "scatter",
          mode: "markers",
          x: [mean * factor],
          y: [row],
          error_x: {
            type: "data",
            symmetric: false,
            array: [interval ? (interval.high - mean) * factor : 0],
            arrayminus: [interval ? (mean - interval.low) * factor : 0],
            color,
            thickness: 2,
            width: 4,
          },
          marker: { size: 9, color },
          text: [hoverOf(one, labels[row] ?? one.variant, shown)],
          hovertemplate: "%{text}<extra></extra>",
        };
      }),
    ] as unknown as Figure["data"],
    layout: baseLayout(look, {
      margin: { l: 12, r: 16, t: 8, b: 44 },
      hovermode: "closest",
      hoverlabel: {
        bgcolor: look.surface,
        bordercolor: look.grid,
        font: { size: 12, color: look.ink },
        align: "left",
        namelength: -1,
      },
      xaxis: axis(look, {
        title: {
          text: `difference, ${shown.name}`,
          font: { size: 11, color: look.muted },
          standoff: 6,
        },
        range: rangeOf([...limits, -edge, edge]),
        zeroline: true,
        zerolinecolor: look.muted,
        zerolinewidth: 1,
      }),
      yaxis: axis(look, {
        tickvals: labels.map((_, row) => row),
        ticktext: labels.map(plainText),
        range: [comparisons.length - 0.4, -0.75],
        showgrid: false,
        showticklabels: !isNarrow,
      }),
      annotations: isNarrow
        ? labels.map((label, row) => ({
            xref: "paper",
            x: 0,
            y: row - 0.42,
            xanchor: "left",
            yanchor: "middle",
            showarrow: false,
            text: plainText(label),
            font: { size: 11, color: look.muted },
          }))
        : [],
      shapes: [
        {
          type: "rect",
          layer: "below",
          xref: "x",
          yref: "paper",
          x0: -edge,
          x1: edge,
          y0: 0,
          y1: 1,
          line: { width: 0 },
          fillcolor: look.isDark ? "rgba(108,184,246,0.13)" : "rgba(23,99,166,0.09)",
        },
      ],
    }),
  };
}

const verdictWords: Record<Verdict, string> = {
  better: "better",
  worse: "worse",
  equivalent: "equivalent",
  cannot_tell: "can't tell",
};

function hoverOf(one: VariantComparison, label: string, { factor, digits, name }: Shown): string {
  const number = (value: number) => `${value > 0 ? "+" : ""}${(value * factor).toFixed(digits)}`;
  const { mean, interval, n } = one.difference;
  const evidence = interval ? ` (95 % interval ${number(interval.low)} to ${number(interval.high)})` : "";
  return `<b>${plainText(label)}</b><br>${number(mean ?? 0)} ${name}${evidence}<br>${n} seed${n === 1 ? "" : "s"}: ${verdictWords[one.verdict]}`;
}

/** Means and intervals, not the single seeds: one collapsed trial would squeeze everything else. */
function rangeOf(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((one, other) => one - other);
  const low = sorted[0] ?? -1;
  const high = sorted.at(-1) ?? 1;
  const pad = 0.05 * (high - low || 1);
  return [low - pad, high + pad];
}

/** The metric of each variant over the budgets: seeds as rings, means with 95 % intervals, joined by lines. */
export function valuesFigure(
  cells: readonly ExperimentCell[],
  variants: readonly string[],
  shown: Shown,
  title: string,
  look: Look,
): Figure {
  const { factor, digits } = shown;
  const budgets = [...new Set(cells.map((cell) => cell.budget))].sort((one, other) => one - other);
  const step = Math.min(0.09, 0.7 / Math.max(1, variants.length));
  const data = variants.flatMap((variant, index) => {
    const color = colourOf(look, index);
    const own = cells.filter((cell) => cell.variant === variant && cell.mean !== null);
    const place = (budget: number) => budgets.indexOf(budget) + (index - (variants.length - 1) / 2) * step;
    const values = own.flatMap((cell) =>
      cell.values.flatMap((one) =>
        one.value === null ? [] : [{ ...one, value: one.value * factor, budget: cell.budget }],
      ),
    );
    return [
      {
        type: "scatter",
        mode: "markers",
        x: values.map((one) => place(one.budget)),
        y: values.map((one) => one.value),
        marker: {
          size: 5,
          symbol: values.map((one) => (one.collapse ? "x-thin" : "circle-open")),
          color,
          opacity: 0.6,
          line: { width: 1, color },
        },
        text: values.map(
          (one) =>
            `${plainText(variant)}<br>mean rank ${one.budget}, seed ${one.seed}: ${one.value.toFixed(digits)}${one.collapse ? `<br>collapsed: ${one.collapse}` : ""}`,
        ),
        hovertemplate: "%{text}<extra></extra>",
        showlegend: false,
      },
      {
        type: "scatter",
        mode: "lines+markers",
        name: plainText(variant),
        x: own.map((cell) => place(cell.budget)),
        y: own.map((cell) => (cell.mean ?? 0) * factor),
        error_y: {
          type: "data",
          symmetric: false,
          array: own.map((cell) => (cell.interval ? (cell.interval.high - (cell.mean ?? 0)) * factor : 0)),
          arrayminus: own.map((cell) =>
            cell.interval ? ((cell.mean ?? 0) - cell.interval.low) * factor : 0,
          ),
          color,
          thickness: 1.4,
          width: 3,
        },
        line: { width: 1.4, color },
        marker: { size: 7, color },
        text: own.map(
          (cell) =>
            `<b>${plainText(variant)}</b><br>mean rank ${cell.budget}: ${((cell.mean ?? 0) * factor).toFixed(digits)} (${cell.n} seed${cell.n === 1 ? "" : "s"})`,
        ),
        hovertemplate: "%{text}<extra></extra>",
      },
    ];
  });
  const shownCells = cells.filter((cell) => variants.includes(cell.variant));
  return {
    data: data as unknown as Figure["data"],
    layout: baseLayout(look, {
      showlegend: true,
      hovermode: "closest",
      margin: { l: 52, r: 12, t: 8, b: 44 },
      xaxis: axis(look, {
        title: { text: "mean rank", font: { size: 11, color: look.muted }, standoff: 6 },
        tickvals: budgets.map((_, index) => index),
        ticktext: budgets.map(String),
        range: [-0.5, budgets.length - 0.5],
        showgrid: false,
      }),
      yaxis: axis(look, {
        title: { text: title, font: { size: 11, color: look.muted }, standoff: 6 },
        range: rangeOf(valueLimits(shownCells).map((value) => value * factor)),
      }),
    }),
  };
}

/** All means, and seeds that did not collapse. Collapsed ones may be far away, and are marked if they fit. */
const valueLimits = (cells: readonly ExperimentCell[]): number[] =>
  cells.flatMap((cell) => [
    ...cell.values.flatMap((one) => (one.value === null || one.collapse ? [] : [one.value])),
    ...(cell.mean_without_collapsed === null && cell.mean !== null ? [cell.mean] : []),
  ]);
