/** Sentences and short texts about a sweep. */
import type { SweepSummary } from "@/api/types";
import { configValue, count } from "@/components/text/format";
import { plural } from "@/components/text/plural";

export const searchTitles: Record<SweepSummary["kind"], string> = {
  grid: "Grid",
  random: "Random",
  tpe: "TPE",
  halving: "Successive halving",
};

/** `training.learning_rate` -> `learning rate`, `method.name` -> `method`. */
export function shortName(parameter: string): string {
  const parts = parameter.split(".");
  const own = parts.pop() ?? "";
  return (/^(name|id)$/.test(own) ? (parts.pop() ?? own) : own).replaceAll("_", " ");
}

export const valueText = (value: unknown): string => (value === undefined ? "–" : configValue(value));

/** learning rate 0.003, score magnitude */
export const valuesText = (values: Record<string, unknown>): string =>
  Object.entries(values)
    .map(([name, value]) => `${shortName(name)} ${valueText(value)}`)
    .join(", ");

/** 12 of 40, 3 stopped early, 1 failed */
export function trialsText({ trials, expected_trials: all }: SweepSummary): string {
  const ended = trials.done + trials.pruned + trials.failed;
  return [
    ended === all ? count(all) : `${count(ended)} of ${count(all)}`,
    trials.pruned ? `${count(trials.pruned)} stopped early` : null,
    trials.failed ? `${count(trials.failed)} failed` : null,
  ]
    .filter((part) => part !== null)
    .join(", ");
}

/** 8 of 12 trials have ended (2 failed); 1 is queued or running. */
export function progressText({ trials, expected_trials: all, status }: SweepSummary): string {
  const ended = trials.done + trials.pruned + trials.failed;
  // Those of a paused sweep are not in the queue.
  const active = status === "running" ? "queued or running" : "running";
  const some = [
    trials.pruned ? `${count(trials.pruned)} stopped early` : null,
    trials.failed ? `${count(trials.failed)} failed` : null,
  ].filter((part) => part !== null);
  return [
    ended === all && all > 1
      ? `All ${count(all)} trials have ended`
      : `${count(ended)} of ${plural(all, "trial")} ${ended === 1 ? "has" : "have"} ended`,
    some.length ? ` (${some.join(", ")})` : "",
    trials.running ? `; ${count(trials.running)} ${trials.running === 1 ? "is" : "are"} ${active}` : "",
    ".",
  ].join("");
}
