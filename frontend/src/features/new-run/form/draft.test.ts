import { describe, expect, test } from "vitest";
import { curlOf, fromYaml, toYaml } from "@/features/new-run/text/text-forms";
import { allPaths, defaultDraft, problemsByField } from "./draft";
import { formSections } from "./schema";
import { schema } from "./schema.fixture";

const sections = formSections(schema);
const fieldAt = (path: string) =>
  sections
    .flatMap((section) => [
      ...section.fields,
      ...(section.choice?.variants.flatMap((one) => one.fields) ?? []),
    ])
    .find((field) => field.path === path);

describe("formSections", () => {
  test("makes a card for each section, in order, with the schema's titles", () => {
    expect(sections.map((section) => section.title)).toEqual(["Data", "Method"]);
  });

  test("reads ranges, units, choices and whether a field may be empty", () => {
    expect(fieldAt("data.max_train_rows")).toMatchObject({
      kind: "integer",
      isNullable: true,
      minimum: 8,
      unit: "rows",
      isAdvanced: true,
    });
    expect(fieldAt("data.eval_fraction")).toMatchObject({
      kind: "number",
      minimum: 0,
      isAbove: true,
      maximum: 0.5,
    });
    expect(fieldAt("task.text_columns")).toMatchObject({ kind: "list", most: 2, optionsFrom: "columns" });
    expect(fieldAt("data.id")).toMatchObject({ kind: "text", isRequired: true, optionsFrom: "datasets" });
    expect(fieldAt("method.score")).toMatchObject({ kind: "choice", choices: ["norm_share", "norm"] });
    expect(fieldAt("method.compact")?.kind).toBe("boolean");
  });

  test("turns a discriminated union into a choice, and the discriminator into its path", () => {
    const choice = sections[1]?.choice;
    expect(choice?.path).toBe("method.name");
    expect(choice?.variants.map((variant) => [variant.value, variant.title])).toEqual([
      ["dynamic_rank", "Dynamic rank"],
      ["lora", "LoRA"],
    ]);
    expect(fieldAt("method.name")).toBeUndefined();
  });
});

test("a union with one member offers no choice: its fields are in the card that the schema names", () => {
  expect(sections[0]?.fields.map((field) => field.path)).toEqual([
    "data.id",
    "data.split",
    "data.split_column",
    "data.eval_fraction",
    "data.max_train_rows",
    "task.text_columns",
  ]);
  expect(sections[0]?.choice).toBeUndefined();
});

describe("a draft", () => {
  test("starts with the schema's defaults", () => {
    expect(defaultDraft(sections)).toEqual({
      data: { split: "share", split_column: null, eval_fraction: 0.1, max_train_rows: null },
      task: { name: "text_classification", text_columns: null },
      method: { name: "dynamic_rank", target_rank: 8, score: "norm_share", compact: true, lora_alpha: 8 },
    });
  });
});

describe("problemsByField", () => {
  const paths = allPaths(sections);
  const problem = (field: string, message: string, next_step = "") => ({
    field,
    message,
    next_step,
    value: null,
  });

  test("puts the API's message and next step at the field", () => {
    const { fields } = problemsByField(
      [problem("config.method.target_rank", "is 0; it must be at least 1", "Use 1 or more.")],
      paths,
    );
    expect(fields).toEqual({ "method.target_rank": "Is 0; it must be at least 1. Use 1 or more." });
  });

  test("assigns the problem of an item to its list", () => {
    const { fields } = problemsByField([problem("config.task.text_columns.1", "is missing")], paths);
    expect(Object.keys(fields)).toEqual(["task.text_columns"]);
  });

  test("drops nothing: problems without a field are listed separately", () => {
    const { fields, others } = problemsByField(
      [problem("config.sampler", "is not a field of this object", "Remove it.")],
      paths,
    );
    expect(fields).toEqual({});
    expect(others).toEqual(["config.sampler Is not a field of this object. Remove it."]);
  });
});

describe("text forms", () => {
  const draft = { data: { id: "it's" }, training: { learning_rate: 0.0001, max_steps: null } };

  test("YAML survives a round trip", () => {
    expect(fromYaml(toYaml(draft))).toEqual({ config: draft });
  });

  test("accepts JSON, and the other fields of a launch file", () => {
    const file = { name: "x", tags: ["a"], priority: 3, config: draft };
    expect(fromYaml(JSON.stringify(file))).toEqual(file);
  });

  test("reports unknown fields next to the config, and drops nothing", () => {
    expect(fromYaml(JSON.stringify({ nmae: "x", config: draft }))).toEqual({
      error: "Unknown field `nmae`. Next to `config`, only name, tags, priority, notes are allowed.",
    });
  });

  const bomb = [
    "a: &a [x,x,x,x,x,x,x,x,x]",
    ..."bcdefghij".split("").map((name, index) => {
      const before = "abcdefghi".charAt(index);
      return `${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`;
    }),
  ].join("\n");
  test.each([
    ["an open list", "a: [", "Line 1"],
    ["plain words", "just words", "Expected a mapping"],
    ["a list", "- 1", "Expected a mapping"],
    ["nothing", "", "Expected a mapping"],
    ["a name twice", "a: 1\na: 2", "Line 2"],
    ["two documents", "a: 1\n---\nb: 2", "Line"],
    ["NaN", "training:\n  learning_rate: .nan", "training.learning_rate is NaN"],
    ["infinity", "training:\n  learning_rate: -.inf", "training.learning_rate is -Infinity"],
    ["a number that loses digits", "training:\n  seed: 12345678901234567890", "training.seed is too large"],
    ["a tag that runs code elsewhere", "a: !!python/object:os.system x", "Line 1"],
    ["aliases of aliases", bomb, "not valid YAML"],
    ["ten thousand levels", "[".repeat(10_000), "YAML"],
    ["too much", `a: ${"x".repeat(1_500_001)}`, "is the limit"],
    ["a date tag", "a: !!timestamp 2001-01-01", "a has an unsupported type"],
  ])("%s is refused with a reason", (_, text, reason) => {
    expect(fromYaml(text)).toEqual({ error: expect.stringContaining(reason) });
  });

  const fields = { name: "", tags: [], priority: 0 };
  test("a quote in a value cannot end the shell's string", () => {
    expect(curlOf(draft, fields, "http://host")).toContain("it'\\''s");
  });

  test("curl launches what the form does: name, tags and priority too", () => {
    const text = curlOf(draft, { name: " n ", tags: ["a"], priority: 2 }, "http://host");
    const body: unknown = JSON.parse(text.slice(text.indexOf("-d '") + 4, -1).replaceAll("'\\''", "'"));
    expect(body).toEqual({ name: "n", tags: ["a"], priority: 2, config: draft });
  });
});
