import { colourAt, darkScale, inkOn, lightScale } from "@/charts/heatmap/colour-scale";
import { axis, baseLayout, type Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import { plainText } from "@/charts/plot/plain-text";
import { plural } from "@/components/text/plural";

/** With more classes, the counts are only in the hover labels. */
const mostNumbered = 12;
const mostCharacters = 24;

/** How often each class (row) was predicted as each class (column). The colour is the share of the row's class. */
export function confusionFigure(
  counts: readonly (readonly number[])[],
  labels: readonly string[],
  look: Look,
): Figure {
  const totals = counts.map((row) => row.reduce((sum, one) => sum + one, 0));
  const shares = counts.map((row, at) => row.map((one) => one / Math.max(1, totals[at] ?? 0)));
  const scale = look.isDark ? darkScale : lightScale;
  const places = labels.map((_, index) => index);
  const names = labels.map((label) =>
    plainText(label.length > mostCharacters ? `${label.slice(0, mostCharacters)}…` : label),
  );
  const hover = counts.map((row, at) =>
    row.map((one, to) => {
      const target = plural(totals[at] ?? 0, "row");
      const share = (100 * (shares[at]?.[to] ?? 0)).toFixed(1);
      return `${plainText(labels[at] ?? "")} predicted as ${plainText(labels[to] ?? "")}<br>${one} of ${target} (${share} %)`;
    }),
  );
  const named = { tickvals: places, ticktext: names, showgrid: false, nticks: 30 } as const;
  return {
    data: [
      {
        type: "heatmap",
        z: shares,
        zmin: 0,
        zmax: 1,
        colorscale: scale,
        showscale: false,
        xgap: 1,
        ygap: 1,
        text: hover,
        hovertemplate: "%{text}<extra></extra>",
      } as unknown as Figure["data"][number],
    ],
    ...(labels.length <= mostNumbered
      ? {
          labels: counts.flatMap((row, y) =>
            row.map((one, x) => ({
              pane: 0,
              x,
              y,
              text: String(one),
              color: inkOn(colourAt(scale, shares[y]?.[x] ?? 0)),
            })),
          ),
        }
      : {}),
    layout: baseLayout(look, {
      dragmode: false,
      margin: { l: 80, r: 12, t: 8, b: 44 },
      xaxis: axis(look, { ...named, title: titleOf("prediction", look), range: [-0.5, labels.length - 0.5] }),
      // The first class is at the top.
      yaxis: axis(look, { ...named, title: titleOf("class", look), range: [labels.length - 0.5, -0.5] }),
    }),
  };
}

const titleOf = (text: string, look: Look) => ({
  text,
  font: { size: 11, color: look.muted },
  standoff: 6,
});
