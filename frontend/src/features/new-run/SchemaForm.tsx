import { Button, Collapse, Group, Select, SimpleGrid, Stack, Text } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { useRef, useState } from "react";
import type { ConfigDraft } from "@/api/types";
import { Panel } from "@/components/Panel";
import { chooseVariant, valueAt, withValue } from "./draft";
import { closedOptions, FieldInput, type Option } from "./FieldInput";
import type { FormField, FormSection } from "./schema";

export interface SchemaFormProps {
  sections: FormSection[];
  draft: ConfigDraft;
  onDraft: (draft: ConfigDraft) => void;
  errors: Record<string, string>;
  optionsOf: (field: FormField) => Option[] | undefined;
  /** A duplicated run's configuration: what differs from it is marked. */
  origin: ConfigDraft | null;
}

/** A form drawn from a JSON Schema: a card for each object, a select for a choice of objects, the rest folded away. */
export function SchemaForm(props: SchemaFormProps) {
  return (
    <Stack gap="md">
      {props.sections.map((section) => (
        <SectionCard key={section.path} section={section} {...props} />
      ))}
    </Stack>
  );
}

function SectionCard({ section, ...form }: SchemaFormProps & { section: FormSection }) {
  const { draft, onDraft, errors } = form;
  const chosen = section.choice ? String(valueAt(draft, section.choice.path) ?? "") : "";
  const variant = section.choice?.variants.find((one) => one.value === chosen);
  const fields = variant?.fields ?? section.fields;
  const plain = fields.filter((field) => !field.isAdvanced);
  const advanced = fields.filter((field) => field.isAdvanced);
  // What was set in a variant comes back when a person returns to it.
  const left = useRef<Record<string, unknown>>({});
  const choose = (value: string) => {
    left.current[chosen] = valueAt(draft, section.path);
    onDraft(chooseVariant(draft, section, value, left.current[value]));
  };
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
            onChange={(value) => value && choose(value)}
            allowDeselect={false}
            description={variant?.description}
            inputWrapperOrder={["label", "input", "error", "description"]}
            error={choiceError}
            data-field={section.choice.path}
          />
        ) : null}
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
  const changed = fields.filter((field) => !isSame(valueAt(form.draft, field.path), field.default)).length;
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
            {changed ? `, ${changed} not at default` : ""}
          </Text>
        </Group>
      </Button>
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
}: SchemaFormProps & { fields: FormField[] }) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" verticalSpacing="sm">
      {fields.map((field) => {
        const value = valueAt(draft, field.path);
        return (
          <FieldInput
            key={field.path}
            field={field}
            value={value}
            onChange={(next) => onDraft(withValue(draft, field.path, next))}
            error={errors[field.path]}
            options={optionsOf(field)}
            isChanged={origin !== null && !isSame(value, valueAt(origin, field.path))}
          />
        );
      })}
    </SimpleGrid>
  );
}

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
