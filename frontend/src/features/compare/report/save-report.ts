import type { QueryClient } from "@tanstack/react-query";
import plotlyAddress from "plotly.js-cartesian-dist-min/plotly-cartesian.min.js?url";
import type { Comparison, MetricInfo, RunSummary } from "@/api/types";
import { fileName, saveFile } from "@/components/files/save-file";
import { dateTime } from "@/components/text/format";
import { shownMetrics } from "@/features/compare/curves/metric-figure";
import { curvesQuery, rankDifferenceQuery } from "@/features/compare/view/queries";
import type { CompareView } from "@/features/compare/view/view";
import { reportParts } from "./comparison-report";
import { reportHtml } from "./report-html";

interface SaveReport {
  client: QueryClient;
  comparison: Comparison;
  view: CompareView;
  infoOf: (name: string) => MetricInfo;
  /** The runs with ranks, those whose ranks move first. */
  ranked: RunSummary[];
}

/** Saves the comparison, as it is shown, as one HTML file. */
export async function saveReport({ client, comparison, view, infoOf, ranked }: SaveReport): Promise<void> {
  const names = [...new Set(comparison.runs.flatMap((run) => Object.keys(run.metrics)))];
  const metrics = shownMetrics(view.metrics, comparison, names);
  const a = ranked.find((run) => run.id === view.a) ?? ranked[0];
  const b = ranked.find((run) => run.id === view.b) ?? ranked.find((run) => run.id !== a?.id);
  const { axis, bySeed, smooth } = view;
  const [plotly, curves, difference] = await Promise.all([
    fetch(plotlyAddress).then((answer) => {
      if (!answer.ok) throw new Error("The code of the charts can't be loaded.");
      return answer.text();
    }),
    metrics.length
      ? client.fetchQuery(
          curvesQuery({ runs: view.runs, names: metrics, axis, bySeed, smooth, isLive: false }),
        )
      : null,
    a && b
      ? // A run without snapshots yet has no ranks to report.
        client.fetchQuery(rankDifferenceQuery(a.id, b.id, view.align, false)).catch(() => null)
      : null,
  ]);
  const title = `Comparison of ${comparison.runs.length} runs`;
  const html = reportHtml({
    title,
    subtitle: `${comparison.groups.map((group) => group.name).join(" · ")}`,
    parts: reportParts({
      ...{ comparison, curves, metrics, view, infoOf },
      difference: difference && a && b ? { data: difference, a: a.name, b: b.name } : null,
    }),
    footer: `Written by RankScope, ${dateTime(Date.now() / 1000)}. Runs: ${view.runs.join(", ")}.`,
    plotly,
  });
  saveFile(`${fileName(title)}.html`, new Blob([html], { type: "text/html" }));
}
