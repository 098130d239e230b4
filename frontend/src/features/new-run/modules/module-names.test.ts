import { expect, test } from "vitest";
import type { ModelModule } from "@/api/types";
import { chosenBy, namesOf, testOf, unknownNames } from "./module-names";

const modules: ModelModule[] = [
  ...[0, 1].flatMap((layer) =>
    ["attention.self.query", "attention.self.value", "attention.output.dense", "output.dense"].map((end) => ({
      name: `encoder.layer.${layer}.${end}`,
      stack: "encoder",
      layer,
      kind: end.replace(/\.(self|dense)/, ""),
      out_features: 8,
      in_features: 8,
    })),
  ),
  { name: "pooler.dense", stack: "", layer: null, kind: "dense", out_features: 8, in_features: 8 },
];
const all = modules.map((module) => module.name);
const those = (end: string) => all.filter((name) => name.endsWith(end));

test("without names, the layers in numbered blocks are chosen", () => {
  expect([...chosenBy(null, modules)]).toEqual(all.slice(0, -1));
});

test("a choice is named by the shortest ends that stand for nothing else", () => {
  expect(namesOf(new Set(those(".query")), modules)).toEqual(["query"]);
  expect(namesOf(new Set(those("attention.output.dense")), modules)).toEqual(["attention.output.dense"]);
  expect(namesOf(new Set(["pooler.dense", ...those(".query")]), modules)).toEqual(["query", "pooler.dense"]);
  expect(namesOf(new Set(all), modules)).toEqual(["query", "value", "dense"]);
});

test("every choice is what its names stand for", () => {
  for (let bits = 0; bits < 2 ** all.length; bits++) {
    const chosen = new Set(all.filter((_, index) => bits & (1 << index)));
    expect(chosenBy(namesOf(chosen, modules), modules)).toEqual(chosen);
  }
});

test("the model's own proposal is no list of names", () => {
  expect(namesOf(new Set(all.slice(0, -1)), modules)).toBeNull();
  expect(namesOf(new Set(), modules)).toEqual([]);
});

test("names of another model are reported", () => {
  expect(unknownNames(["query", "q_proj", "uery"], modules)).toEqual(["q_proj", "uery"]);
});

test("a glob is about the end of a name, a regular expression about any part", () => {
  const matches = (pattern: string, kind: "glob" | "regex") => {
    const fits = testOf(pattern, kind);
    return typeof fits === "string" ? fits : all.filter(fits);
  };
  expect(matches("query", "glob")).toEqual(those(".query"));
  expect(matches("uery", "glob")).toEqual([]);
  expect(matches("layer.[1-9].*", "glob")).toEqual(all.filter((name) => name.includes(".1.")));
  expect(matches("layer.[!1].attention.self.?????", "glob")).toEqual([
    "encoder.layer.0.attention.self.query",
    "encoder.layer.0.attention.self.value",
  ]);
  expect(matches("(query|value)$", "regex")).toEqual([...those(".query"), ...those(".value")].sort(byPlace));
  expect(matches("(query", "regex")).toMatch(/^Invalid pattern: /);
});

const byPlace = (one: string, other: string) => all.indexOf(one) - all.indexOf(other);
