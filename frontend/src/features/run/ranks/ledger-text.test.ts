import { expect, test } from "vitest";
import type { LedgerLine, Module } from "@/api/types";
import { ledgerReason, ledgerSentence, moduleLabel } from "./ledger-text";

const line: LedgerLine = {
  seq: 9,
  step: 420,
  change: "pruned",
  module: 3,
  module_name: "bert.encoder.layer.3.attention.self.key",
  component: 5,
  score: 0.031,
  order: 812,
  total: 864,
  threshold: 0.034,
  budget: 640,
};
const key: Module = {
  name: line.module_name,
  layer: 3,
  kind: "key",
  stack: "encoder",
  out_features: 8,
  in_features: 8,
};

test("says which component was pruned, and the numbers that decided it", () => {
  expect(ledgerSentence(line, moduleLabel(key, [key]))).toBe(
    "Component 5 of layer 3 key was pruned at step 420: score 0.0310, place 812 of 864 by score, threshold 0.0340, budget 640.",
  );
  expect(ledgerReason(line)).toBe("811 components were more important, and the budget allowed 640.");
});

test("says why a component was regrown", () => {
  const back: LedgerLine = { ...line, change: "regrown", order: 600 };
  expect(ledgerSentence(back)).toContain("bert.encoder.layer.3.attention.self.key was regrown at step 420");
  expect(ledgerReason(back)).toContain("only 599 components were more important");
});

test("names the stack if there are two, and modules outside of layers in full", () => {
  expect(moduleLabel(key, [key, { ...key, stack: "decoder" }])).toBe("encoder layer 3 key");
  expect(moduleLabel({ ...key, layer: null }, [key])).toBe(line.module_name);
});
