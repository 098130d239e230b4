/** The tasks and their metrics as the API describes them. The page knows none by name. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { MetricInfo } from "@/api/types";

export const tasksQuery = queryOptions({
  queryKey: ["tasks"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/tasks", { signal }))).items,
  // They change only with the server's version, and then the page is reloaded.
  staleTime: Number.POSITIVE_INFINITY,
});

const none: readonly MetricInfo[] = [];

/** The metrics of a task in the order of the page; empty until the API has answered. */
export const useMetrics = (task: string): readonly MetricInfo[] =>
  useQuery(tasksQuery).data?.find((one) => one.name === task)?.metrics ?? none;

/** The metrics of all tasks, for runs of different tasks. */
export const useAllMetrics = (): readonly MetricInfo[] =>
  useQuery(tasksQuery).data?.flatMap((task) => task.metrics) ?? none;

/** Name of these runs' main metric within a sentence, if they all have the same one. */
export function sharedHeadline(runs: readonly { headline: { title: string } }[]): string {
  const titles = new Set(runs.map((run) => run.headline.title));
  return titles.size === 1 ? ([...titles][0] ?? "") : "main metric";
}

/** The description of a metric, or one made from its name, so that metrics without one are shown too. */
export function metricCalled(name: string, known: readonly MetricInfo[]): MetricInfo {
  const numbers = name.match(/\d+/g) ?? [];
  const pattern = numbers.length === 1 ? name.replace(/\d+/, "*") : name;
  const found = known.find((one) => one.name === name) ?? known.find((one) => one.name === pattern);
  if (found) return { ...found, name, title: found.title.replace("*", numbers[0] ?? "*") };
  const words =
    name
      .replace(/^eval_/, "")
      .replaceAll("_", " ")
      .trim() || name;
  const isEvaluation = name.startsWith("eval_");
  return {
    name,
    title: isEvaluation ? `Evaluation ${words}` : words.charAt(0).toUpperCase() + words.slice(1),
    unit: null,
    group: isEvaluation ? "evaluation" : "other",
    lower_is_better: /(^|_)(loss|perplexity|error|mae|mse|rmse)$/.test(name),
  };
}
