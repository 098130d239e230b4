/** Which metrics belong together, by their descriptions. */
import type { MetricInfo } from "@/api/types";
import { metricCalled } from "@/components/runs/tasks";

export interface MetricGroup {
  title: string;
  names: string[];
}

const titles: [MetricInfo["group"], string][] = [
  ["training", "Training"],
  ["evaluation", "Evaluation"],
  ["speed", "Speed"],
  ["other", "Other"],
];

/** The groups in the order of the page, without hardware; groups without a metric are omitted. */
export function metricGroups(names: readonly string[], known: readonly MetricInfo[]): MetricGroup[] {
  const groupOf = (name: string) => metricCalled(name, known).group;
  const places = new Map(known.map((metric, place) => [metric.name, place]));
  const place = (name: string) => places.get(name) ?? known.length;
  const ordered = [...new Set(names)].sort(
    (one, other) => place(one) - place(other) || one.localeCompare(other),
  );
  return titles
    .map(([group, title]) => ({ title, names: ordered.filter((name) => groupOf(name) === group) }))
    .filter((group) => group.names.length > 0);
}
