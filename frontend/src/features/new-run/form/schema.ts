/** From the API's JSON Schema to fields of a form. Rules, texts and defaults come from the schema; none are repeated here. */

export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  discriminator?: { propertyName: string; mapping?: Record<string, string> };
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  required?: string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
  maxLength?: number;
  "x-group"?: string;
  "x-section"?: string;
  "x-advanced"?: boolean;
  "x-unit"?: string;
  "x-options"?: string;
  "x-hidden"?: boolean;
  "x-when"?: Record<string, string[]>;
}

export type FieldKind = "integer" | "number" | "text" | "boolean" | "choice" | "list" | "object";

export interface FormField {
  /** Dotted path, as in the API's errors, without `config.`. */
  path: string;
  kind: FieldKind;
  title: string;
  description: string;
  isNullable: boolean;
  isRequired: boolean;
  isAdvanced: boolean;
  default: unknown;
  minimum: number | undefined;
  maximum: number | undefined;
  /** Whether the limit itself is excluded. */
  isAbove: boolean;
  choices: string[];
  /** Where the choices come from: models, datasets, columns. */
  optionsFrom: string | undefined;
  unit: string | undefined;
  most: number | undefined;
  /** By dotted path: values of other fields with which this one is shown. */
  when: Record<string, string[]>;
}

export interface Variant {
  value: string;
  title: string;
  description: string;
  fields: FormField[];
}

/** A card of the form: an object's fields, or a union of objects with a discriminator. */
export interface FormSection {
  path: string;
  title: string;
  fields: FormField[];
  /** Dotted path of the discriminator, and the variants. */
  choice?: { path: string; variants: Variant[] };
  /** By dotted path: values that leave no choice, such as the name in a union with one member. */
  fixed?: Record<string, unknown>;
}

/**
 * The sections of a configuration, in the schema's order. A union with one member offers no choice: its fields are
 * drawn in the card that `x-section` names.
 */
export function formSections(root: JsonSchema): FormSection[] {
  const find = (schema: JsonSchema): JsonSchema => resolve(root, schema);
  const shown = Object.entries(root.properties ?? {}).filter(([, property]) => !property["x-hidden"]);
  const sections: FormSection[] = [];
  for (const [name, property] of shown) {
    const section = sectionOf(find, name, property);
    const card = sections.find((one) => one.path === property["x-section"]);
    const only = section.choice?.variants.length === 1 ? section.choice.variants[0] : undefined;
    if (card && section.choice && only) {
      card.fields.push(...only.fields);
      card.fixed = { ...card.fixed, [section.choice.path]: only.value };
    } else sections.push(section);
  }
  return sections;
}

function sectionOf(
  find: (schema: JsonSchema) => JsonSchema,
  name: string,
  property: JsonSchema,
): FormSection {
  const schema = find(property);
  const title = property.title ?? schema.title ?? name;
  const options = schema.oneOf ?? schema.anyOf;
  const tag = schema.discriminator?.propertyName;
  if (!options || !tag) return { path: name, title, fields: fieldsOf(find, schema, name) };
  const variants = options.map((option) => {
    const variant = find(option);
    return {
      value: String(variant.properties?.[tag]?.const ?? ""),
      title: variant.title ?? "",
      description: variant.description ?? "",
      fields: fieldsOf(find, variant, name).filter((field) => field.path !== `${name}.${tag}`),
    };
  });
  return { path: name, title, fields: [], choice: { path: `${name}.${tag}`, variants } };
}

function fieldsOf(find: (schema: JsonSchema) => JsonSchema, schema: JsonSchema, prefix: string): FormField[] {
  return Object.entries(schema.properties ?? {}).map(([name, property]) =>
    fieldOf(find, property, `${prefix}.${name}`, schema.required?.includes(name) ?? false),
  );
}

function fieldOf(
  find: (schema: JsonSchema) => JsonSchema,
  property: JsonSchema,
  path: string,
  isRequired: boolean,
): FormField {
  const outer = find(property);
  const members = outer.anyOf?.map(find) ?? [outer];
  const isNullable = members.some((member) => member.type === "null");
  const inner = members.find((member) => member.type !== "null") ?? outer;
  const choices = (inner.enum ?? (inner.const === undefined ? [] : [inner.const])).map(String);
  return {
    path,
    kind: kindOf(inner, choices),
    title: outer.title ?? inner.title ?? path.split(".").at(-1) ?? path,
    description: outer.description ?? inner.description ?? "",
    isNullable,
    isRequired,
    isAdvanced: outer["x-advanced"] ?? false,
    default: outer.default,
    minimum: inner.minimum ?? inner.exclusiveMinimum,
    maximum: inner.maximum ?? inner.exclusiveMaximum,
    isAbove: inner.exclusiveMinimum !== undefined,
    choices,
    optionsFrom: outer["x-options"],
    unit: outer["x-unit"],
    most: inner.maxItems,
    when: Object.fromEntries(
      Object.entries(outer["x-when"] ?? {}).map(([name, values]) => [path.replace(/[^.]+$/, name), values]),
    ),
  };
}

function kindOf(schema: JsonSchema, choices: string[]): FieldKind {
  if (choices.length) return "choice";
  if (schema.type === "integer" || schema.type === "number" || schema.type === "boolean") return schema.type;
  if (schema.type === "object") return "object";
  return schema.type === "array" ? "list" : "text";
}

/** The schema behind `$ref`; keywords next to the reference (a title) override it. */
function resolve(root: JsonSchema, schema: JsonSchema): JsonSchema {
  if (!schema.$ref) return schema;
  const name = schema.$ref.replace("#/$defs/", "");
  const { $ref: _, ...beside } = schema;
  return { ...(root.$defs?.[name] ?? {}), ...beside };
}
