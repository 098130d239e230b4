import type { JsonSchema } from "./schema";

/** A small schema with every construct of the API's schema. */
export const schema: JsonSchema = {
  $defs: {
    Data: {
      type: "object",
      title: "DataConfig",
      required: ["id"],
      properties: {
        id: { type: "string", title: "Data set", description: "A data set.", "x-options": "datasets" },
        split: { type: "string", title: "Split", enum: ["share", "parts"], default: "share" },
        split_column: {
          anyOf: [{ type: "string" }, { type: "null" }],
          default: null,
          title: "Column of the parts",
          "x-options": "columns",
          "x-when": { split: ["parts"] },
        },
        eval_fraction: {
          type: "number",
          title: "Evaluation share",
          default: 0.1,
          exclusiveMinimum: 0,
          maximum: 0.5,
        },
        max_train_rows: {
          anyOf: [{ type: "integer", minimum: 8 }, { type: "null" }],
          default: null,
          title: "Train on at most",
          "x-unit": "rows",
          "x-advanced": true,
        },
      },
    },
    Classification: {
      type: "object",
      title: "Text classification",
      properties: {
        name: { const: "text_classification", default: "text_classification", type: "string" },
        text_columns: {
          anyOf: [{ type: "array", items: { type: "string" }, maxItems: 2 }, { type: "null" }],
          default: null,
          title: "Text columns",
          "x-options": "columns",
        },
      },
    },
    Dynamic: {
      type: "object",
      title: "Dynamic rank",
      description: "Ranks move.",
      properties: {
        name: { const: "dynamic_rank", default: "dynamic_rank", type: "string" },
        target_rank: { type: "integer", title: "Target rank", default: 8, minimum: 1 },
        score: {
          type: "string",
          title: "Importance score",
          enum: ["norm_share", "norm"],
          default: "norm_share",
          "x-advanced": true,
        },
        compact: { type: "boolean", title: "Compact", default: true, "x-advanced": true },
        lora_alpha: { type: "number", title: "LoRA alpha", default: 8, "x-advanced": true },
      },
    },
    Lora: {
      type: "object",
      title: "LoRA",
      description: "Ranks stay.",
      properties: {
        name: { const: "lora", default: "lora", type: "string" },
        rank: { type: "integer", title: "Rank", default: 8 },
        lora_alpha: { type: "number", title: "LoRA alpha", default: 8, "x-advanced": true },
      },
    },
  },
  properties: {
    data: { $ref: "#/$defs/Data", title: "Data" },
    task: {
      title: "Task",
      discriminator: { propertyName: "name" },
      oneOf: [{ $ref: "#/$defs/Classification" }],
      "x-section": "data",
    },
    method: {
      title: "Method",
      discriminator: { propertyName: "name" },
      oneOf: [{ $ref: "#/$defs/Dynamic" }, { $ref: "#/$defs/Lora" }],
    },
  },
};
