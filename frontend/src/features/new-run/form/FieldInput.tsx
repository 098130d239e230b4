import {
  JsonInput,
  MultiSelect,
  NumberInput,
  Select,
  Switch,
  TagsInput,
  Text,
  TextInput,
} from "@mantine/core";
import type { MouseEvent } from "react";
import { DecimalInput } from "./DecimalInput";
import type { FormField } from "./schema";

export interface Option {
  value: string;
  label: string;
  disabled?: boolean;
  /** Why this option cannot be chosen. */
  problem?: string;
}

/** Unmount a closed list of options; otherwise a label would name two elements, the input and its hidden list. */
export const closedOptions = { keepMounted: false };

/** Descriptions below the inputs, so that inputs in a row are level. */
export const below = {
  inputWrapperOrder: ["label", "input", "error", "description"] as (
    | "label"
    | "input"
    | "error"
    | "description"
  )[],
};

/** A click selects the text of the chosen option, so that what is typed next searches all options. */
export const searchable = {
  searchable: true,
  onClick: (event: MouseEvent<HTMLInputElement>) => event.currentTarget.select(),
};

export interface FieldInputProps {
  field: FormField;
  value: unknown;
  onChange: (value: unknown) => void;
  error: string | undefined;
  /** Choices that depend on the installation; undefined while they load. */
  options: Option[] | undefined;
  isChanged: boolean;
}

/** One field of the schema as one input, labelled with the schema's title. */
export function FieldInput({ field, value, onChange, error, options, isChanged }: FieldInputProps) {
  const common = {
    id: `field-${field.path.replaceAll(".", "-")}`,
    label: field.title,
    description: field.description,
    error,
    className: isChanged ? "field field-changed" : "field",
    ...below,
    "data-field": field.path,
  };
  const list = { comboboxProps: closedOptions };
  if (field.optionsFrom && field.kind === "text") {
    return (
      <Select
        {...common}
        {...list}
        data={withCurrent(options, value)}
        value={typeof value === "string" ? value : null}
        onChange={(next) => onChange(next)}
        placeholder={field.isNullable ? "From the data set" : "Choose"}
        clearable={field.isNullable}
        {...searchable}
        allowDeselect={field.isNullable}
        nothingFoundMessage="No match"
        renderOption={({ option }) => <OptionLine option={option} />}
      />
    );
  }
  switch (field.kind) {
    case "integer":
      return (
        <NumberInput
          {...common}
          {...unitOf(field)}
          value={typeof value === "number" || typeof value === "string" ? value : ""}
          onChange={(next) => onChange(next === "" ? null : next)}
          allowDecimal={false}
          // The API checks limits and explains them; an input that corrects silently would hide that.
          clampBehavior="none"
          placeholder={field.isNullable ? "not set" : ""}
          thousandSeparator=""
        />
      );
    case "number":
      return (
        <DecimalInput
          {...common}
          {...unitOf(field)}
          value={value}
          onChange={onChange}
          placeholder={field.isNullable ? "not set" : ""}
        />
      );
    case "boolean":
      return (
        <Switch
          id={common.id}
          label={field.title}
          description={field.description}
          error={error}
          className={common.className}
          data-field={field.path}
          checked={value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      );
    case "choice":
      return (
        <Select
          {...common}
          {...list}
          data={field.choices}
          value={typeof value === "string" ? value : null}
          onChange={(next) => onChange(next)}
          allowDeselect={field.isNullable}
          clearable={field.isNullable}
        />
      );
    case "list": {
      const items = Array.isArray(value) ? value.map(String) : [];
      const change = (next: string[]) => onChange(next.length === 0 && field.isNullable ? null : next);
      // The names of parts are only known once the column can be read, so they can also be typed.
      if (field.optionsFrom && field.optionsFrom !== "parts") {
        return (
          <MultiSelect
            {...common}
            {...list}
            data={withCurrent(options, ...items)}
            value={items}
            onChange={change}
            placeholder={items.length ? "" : "From the data set"}
            clearable
            {...(field.most ? { maxValues: field.most } : {})}
          />
        );
      }
      return (
        <TagsInput
          {...common}
          data={(options ?? []).map((option) => option.value)}
          {...list}
          value={items}
          onChange={change}
          placeholder={items.length ? "" : field.optionsFrom ? "Found by name" : "all"}
          clearable
        />
      );
    }
    case "object":
      return (
        <JsonInput
          {...common}
          value={typeof value === "string" ? value : value ? JSON.stringify(value, null, 1) : ""}
          onChange={(next) => onChange(parsedObject(next))}
          autosize
          minRows={3}
          maxRows={12}
          formatOnBlur
          // JSON needs the width of both columns.
          style={{ gridColumn: "1 / -1" }}
        />
      );
    default:
      return (
        <TextInput
          {...common}
          value={typeof value === "string" ? value : ""}
          onChange={(event) => onChange(event.currentTarget.value || (field.isNullable ? null : ""))}
        />
      );
  }
}

/** An option, with the reason below it if it cannot be chosen. */
function OptionLine({ option }: { option: Option }) {
  if (!option.problem) return <span>{option.label}</span>;
  return (
    <div>
      <Text span c="dimmed" inherit>
        {option.label}
      </Text>
      <Text size="xs" className="option-problem" lineClamp={3}>
        {option.problem}
      </Text>
    </div>
  );
}

/** The parsed object; the text itself while it is not valid JSON, so that nothing typed is lost. */
function parsedObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The unit, shown in the input next to the number. */
const unitOf = (field: FormField) =>
  field.unit ? { rightSection: <span className="unit">{field.unit}</span>, rightSectionWidth: 64 } : {};

/** An unknown value (from YAML or an old run) stays visible, so that its error can be shown. */
function withCurrent(options: Option[] | undefined, ...values: unknown[]): Option[] {
  const known = options ?? [];
  const missing = values.filter(
    (value): value is string =>
      typeof value === "string" && value !== "" && !known.some((option) => option.value === value),
  );
  return [...known, ...missing.map((value) => ({ value, label: value }))];
}
