// @vitest-environment jsdom
import { expect, test } from "vitest";
import type { MetricInfo } from "@/api/types";
import { metricCalled } from "@/components/runs/tasks";
import { metricGroups } from "./metric-groups";

const metric = (name: string, title: string, group: MetricInfo["group"]): MetricInfo => ({
  name,
  title,
  unit: null,
  group,
  lower_is_better: false,
});
const known = [
  metric("train_loss", "Train loss", "training"),
  metric("grad_norm", "Gradient norm", "training"),
  metric("gpu*_utilization_percent", "GPU *: utilisation", "hardware"),
  metric("gpu*_memory_bytes", "GPU *: memory", "hardware"),
  metric("eval_score", "Evaluation score", "evaluation"),
  metric("eval_loss", "Evaluation loss", "evaluation"),
];

test("metrics are grouped in the order of their descriptions, hardware separately", () => {
  const names = [
    "grad_norm",
    "eval_kappa",
    "eval_loss",
    "zeta",
    "train_loss",
    "eval_score",
    "gpu0_memory_bytes",
    "alpha",
  ];
  expect(metricGroups(names, known)).toEqual([
    { title: "Training", names: ["train_loss", "grad_norm"] },
    { title: "Evaluation", names: ["eval_score", "eval_loss", "eval_kappa"] },
    { title: "Other", names: ["alpha", "zeta"] },
  ]);
});

test("a number in a metric's name is put into its title", () => {
  expect(metricCalled("gpu1_utilization_percent", known)).toMatchObject({
    title: "GPU 1: utilisation",
    group: "hardware",
  });
});

test("a metric without a description is described by its name", () => {
  expect(metricCalled("eval_f1_macro", known)).toMatchObject({
    title: "Evaluation f1 macro",
    group: "evaluation",
    lower_is_better: false,
  });
  expect(metricCalled("tokens_seen", [])).toMatchObject({ title: "Tokens seen", group: "other" });
  expect(metricCalled("eval_perplexity", []).lower_is_better).toBe(true);
});
