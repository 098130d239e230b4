import { Button, Collapse, Group, Loader, Select, SimpleGrid, Stack, Text } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { Fragment, type ReactNode, useState } from "react";
import { valueAt, withValue } from "@/api/config";
import type { ConfigDraft } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { closedOptions, FieldInput, type FieldInputProps, type Option } from "./FieldInput";
import type { FormField, FormSection } from "./schema";

export interface SchemaFormProps {
  sections: FormSection[];
  draft: ConfigDraft;
  onDraft: (draft: ConfigDraft) => void;
  errors: Record<string, string>;
  optionsOf: (field: FormField) => Option[] | undefined;
  /** Configuration of the copied run: fields that differ from it are marked. */
  origin: ConfigDraft | null;
  /** Called when another variant of a section (another task or method) is chosen. */
  onVariant: (section: FormSection, value: string) => void;
  /** The section whose variant is being switched. */
  switching: string | null;
  /** Shown below the choice of the section with this path. */
  afterChoice: Record<string, ReactNode>;
  /** Cards below that of the section with this path. */
  below?: Record<string, ReactNode>;
  /** Inputs of fields whose choices come from these sources, instead of a list. */
  inputs?: Record<string, (props: FieldInputProps) => ReactNode>;
}

/** A form generated from a JSON Schema: a card per object, a select for a union, advanced fields collapsed. */
export function SchemaForm(props: SchemaFormProps) {
  return (
    <Stack gap="md">
      {props.sections.map((section) => (
        <Fragment key={section.path}>
          <SectionCard section={section} {...props} />
          {props.below?.[section.path]}
        </Fragment>
      ))}
    </Stack>
  );
}

function SectionCard({ section, ...form }: SchemaFormProps & { section: FormSection }) {
  const { draft, errors } = form;
  const chosen = section.choice ? String(valueAt(draft, section.choice.path) ?? "") : "";
  const variant = section.choice?.variants.find((one) => one.value === chosen);
  const all = variant?.fields ?? section.fields;
  // A field with an error is never hidden.
  const fields = all.filter((field) => errors[field.path] || applies(field, draft));
  const plain = fields.filter((field) => !field.isAdvanced);
  const advanced = fields.filter((field) => field.isAdvanced);
  const isSwitching = form.switching === section.path;
  const choiceError = section.choice ? (errors[section.choice.path] ?? errors[section.path]) : undefined;
  return (
    <Panel title={section.title}>
      <Stack gap="sm">
        {section.choice ? (
          <Select
            id={`field-${section.choice.path.replaceAll(".", "-")}`}
            aria-label={section.title}
            comboboxProps={closedOptions}
            data={section.choice.variants.map((one) => ({ value: one.value, label: one.title }))}
            value={chosen}
            onChange={(value) => value && value !== chosen && form.onVariant(section, value)}
            disabled={isSwitching}
            rightSection={isSwitching ? <Loader size={14} /> : undefined}
            allowDeselect={false}
            description={variant?.description}
            inputWrapperOrder={["label", "input", "error", "description"]}
            error={choiceError}
            data-field={section.choice.path}
          />
        ) : null}
        {form.afterChoice[section.path]}
        <Fields fields={plain} {...form} />
        {advanced.length ? <Advanced fields={advanced} {...form} /> : null}
      </Stack>
    </Panel>
  );
}

function Advanced({ fields, ...form }: SchemaFormProps & { fields: FormField[] }) {
  const [isOpen, setOpen] = useState(false);
  const wrong = fields.filter((field) => form.errors[field.path]).length;
  // A field with an error is never hidden.
  const isShown = isOpen || wrong > 0;
  // Collapsed fields are launched too, so those that are not at their default are always listed.
  const changed = fields.filter((field) => !isSame(valueAt(form.draft, field.path), field.default));
  return (
    <div>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        aria-expanded={isShown}
        onClick={() => setOpen(!isShown)}
        leftSection={
          <IconChevronRight
            size={14}
            style={{ transform: isShown ? "rotate(90deg)" : undefined }}
            aria-hidden
          />
        }
      >
        <Group gap={6}>
          Advanced
          <Text span size="xs" c="dimmed" className="numbers">
            {fields.length === 1 ? "1 field" : `${fields.length} fields`}
            {changed.length ? `, ${changed.length} not at default` : ""}
          </Text>
        </Group>
      </Button>
      {changed.length && !isShown ? (
        <Text size="xs" c="dimmed" pl={30} style={{ overflowWrap: "anywhere" }} data-testid="folded-values">
          {changed.map((field) => `${field.title}: ${said(valueAt(form.draft, field.path))}`).join(" · ")}
        </Text>
      ) : null}
      <Collapse expanded={isShown}>
        <div style={{ paddingTop: 10 }}>
          <Fields fields={fields} {...form} />
        </div>
      </Collapse>
    </div>
  );
}

function Fields({
  fields,
  draft,
  onDraft,
  errors,
  optionsOf,
  origin,
  inputs,
}: SchemaFormProps & { fields: FormField[] }) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" verticalSpacing="sm">
      {fields.map((field) => {
        const value = valueAt(draft, field.path);
        const props: FieldInputProps = {
          field,
          value,
          onChange: (next) => onDraft(withValue(draft, field.path, next)),
          error: errors[field.path],
          options: optionsOf(field),
          isChanged: origin !== null && !isSame(value, valueAt(origin, field.path)),
        };
        const drawn = inputs?.[field.optionsFrom ?? ""]?.(props);
        return drawn ? (
          <Fragment key={field.path}>{drawn}</Fragment>
        ) : (
          <FieldInput key={field.path} {...props} />
        );
      })}
    </SimpleGrid>
  );
}

/** Whether the field has an effect with the other values of the draft. */
const applies = (field: FormField, draft: ConfigDraft): boolean =>
  Object.entries(field.when).every(([path, values]) => values.includes(String(valueAt(draft, path))));

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

function said(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (typeof value === "boolean") return value ? "on" : "off";
  return Array.isArray(value) ? value.join(", ") : typeof value === "object" ? "set" : String(value);
}
