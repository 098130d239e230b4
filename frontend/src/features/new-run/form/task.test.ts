import { expect, test } from "vitest";
import { withValue } from "@/api/config";
import type { DatasetInfo } from "@/api/types";
import { defaultDraft } from "./draft";
import { formSections, type JsonSchema } from "./schema";
import { schema } from "./schema.fixture";
import { withBestByHeadline, withLikelyTask, withMetricsOf, withTask } from "./task";

const column = {
  anyOf: [{ type: "string" }, { type: "null" }],
  default: null,
  "x-options": "columns",
} satisfies JsonSchema;

const headline = (...metrics: string[]) =>
  ({ anyOf: [{ type: "string", enum: metrics }, { type: "null" }], default: null }) satisfies JsonSchema;

/** The fixture with a second task, which shares the text columns and has tags. */
const two: JsonSchema = {
  ...schema,
  $defs: {
    ...schema.$defs,
    Classification: {
      ...schema.$defs?.Classification,
      properties: {
        ...schema.$defs?.Classification?.properties,
        headline_metric: headline("eval_a", "eval_b"),
      },
    },
    Tagging: {
      type: "object",
      title: "Tagging",
      properties: {
        name: { const: "tagging", default: "tagging", type: "string" },
        text_columns: schema.$defs?.Classification?.properties?.text_columns ?? {},
        tags_column: column,
        headline_metric: headline("eval_b", "eval_c"),
      },
    },
    Training: {
      type: "object",
      properties: {
        best_metric: { type: "string", enum: ["eval_a", "eval_b", "eval_c"], default: "eval_a" },
      },
    },
  },
  properties: {
    ...schema.properties,
    task: {
      title: "Task",
      oneOf: [{ $ref: "#/$defs/Classification" }, { $ref: "#/$defs/Tagging" }],
      discriminator: { propertyName: "name" },
    },
    training: { $ref: "#/$defs/Training" },
  },
};
const sections = formSections(two);
const section = sections.find((one) => one.path === "task") ?? { path: "", title: "", fields: [] };
const draft = {
  ...defaultDraft(sections),
  task: { name: "text_classification", text_columns: ["a"], headline_metric: null },
};
const dataset = (id: string, columns: string[], likely_task: string, likely_options = {}) =>
  ({ id, columns, likely_task, likely_options, problem: null }) as unknown as DatasetInfo;

test("another task keeps the options that both have, and chooses its own main metric", () => {
  const tagging = withTask(draft, section, "tagging");
  expect(tagging.task).toEqual({
    name: "tagging",
    text_columns: ["a"],
    tags_column: null,
    headline_metric: null,
  });
  expect(tagging.training).toEqual({ best_metric: null });
});

test("another task keeps a headline metric only if it has it", () => {
  const by = (name: string) => withTask(withValue(draft, "task.headline_metric", name), section, "tagging");
  expect(by("eval_b").task).toMatchObject({ headline_metric: "eval_b" });
  expect(by("eval_a").task).toMatchObject({ headline_metric: null });
});

test("the best checkpoint follows a headline metric that is chosen", () => {
  const chosen = withValue(draft, "task.headline_metric", "eval_b");
  expect(withBestByHeadline(draft, chosen).training).toEqual({ best_metric: null });
  const kept = withValue(chosen, "training.best_metric", "eval_c");
  expect(withBestByHeadline(chosen, kept)).toBe(kept);
});

test("another data set proposes its task and forgets columns that it lacks", () => {
  const sets = [
    dataset("x", ["a", "label"], "text_classification"),
    dataset("y", ["words", "tags"], "tagging"),
  ];
  const on = (id: string) => ({ ...draft, data: { ...(draft as { data?: object }).data, id } });
  expect(withLikelyTask(on("x"), on("y"), sections, sets).task).toEqual({
    name: "tagging",
    text_columns: null,
    tags_column: null,
    headline_metric: null,
  });
  expect(withLikelyTask(on("y"), on("x"), sections, sets).task).toEqual(draft.task);
  // With the options that fit it.
  const talks = [...sets, dataset("z", ["tags"], "tagging", { headline_metric: "eval_b" })];
  expect(withLikelyTask(on("x"), on("z"), sections, talks).task).toMatchObject({ headline_metric: "eval_b" });
  // An edit elsewhere keeps a task that was chosen by hand.
  expect(withLikelyTask(on("y"), on("y"), sections, sets)).toEqual(on("y"));
});

test("the best checkpoint is chosen by a metric of the task; an unknown one stays visible", () => {
  const choices = (metric: string | null) =>
    withMetricsOf(sections, ["eval_b"], { training: { best_metric: metric } })
      .flatMap((one) => one.fields)
      .find((field) => field.path === "training.best_metric")?.choices;
  expect(choices(null)).toEqual(["eval_b"]);
  expect(choices("eval_c")).toEqual(["eval_c", "eval_b"]);
});

test("a data set that names its own split is used with it", () => {
  const sets = [
    { ...dataset("x", ["a"], "text_classification"), split_column: null },
    { ...dataset("y", ["a", "split"], "text_classification"), split_column: "split" },
  ];
  const split = (before: string, after: string) => {
    const at = (id: string) => ({ ...draft, data: { id, split: "share", eval_parts: ["old"] } });
    return withLikelyTask(at(before), at(after), sections, sets).data;
  };
  expect(split("x", "y")).toMatchObject({ split: "parts", eval_parts: null });
  expect(split("y", "x")).toMatchObject({ split: "share" });
});
