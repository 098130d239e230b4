import { expect, test } from "vitest";
import { isHardware, metricGroups, metricTitle } from "./metric-groups";

test("metrics are grouped in the order of reading, hardware apart", () => {
  const names = [
    "grad_norm",
    "eval_mcc",
    "zeta",
    "train_loss",
    "eval_accuracy",
    "gpu0_memory_bytes",
    "alpha",
  ];
  expect(metricGroups(names)).toEqual([
    { title: "Training", names: ["train_loss", "grad_norm"] },
    { title: "Evaluation", names: ["eval_accuracy", "eval_mcc"] },
    { title: "Other", names: ["alpha", "zeta"] },
  ]);
});

test("hardware is told by its name", () => {
  expect(["cpu_percent", "gpu1_utilization_percent", "train_loss"].map(isHardware)).toEqual([
    true,
    true,
    false,
  ]);
  expect(metricTitle("gpu1_utilization_percent")).toBe("GPU 1: utilisation");
});
