import { ActionIcon, Button, Group, NumberInput, Select, Stack, TagsInput, Text } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { Panel } from "@/components/layout/Panel";
import { DecimalInput } from "@/features/new-run/form/DecimalInput";
import { closedOptions, searchable } from "@/features/new-run/form/FieldInput";
import { isStillBlank, type ParameterRow, type SearchKind, type SpaceKind } from "./request";

/** A field that can vary. */
export interface Choice {
  value: string;
  label: string;
  group: string;
  isNumber: boolean;
  suggestions: string[];
}

interface SearchSpacePanelProps {
  rows: readonly ParameterRow[];
  onChange: (rows: ParameterRow[]) => void;
  choices: readonly Choice[];
  kind: SearchKind;
  /** The API's sentence about a field of the body. */
  problemOf: (field: string) => string | undefined;
}

const kinds: { value: SpaceKind; label: string }[] = [
  { value: "values", label: "Values" },
  { value: "linear", label: "Range" },
  { value: "log", label: "Log range" },
];

/** Which fields vary, and over which values. */
export function SearchSpacePanel({ rows, onChange, choices, kind, problemOf }: SearchSpacePanelProps) {
  const change = (key: number, part: Partial<ParameterRow>) =>
    onChange(rows.map((row) => (row.key === key ? { ...row, ...part } : row)));
  const free = choices.find((one) => !rows.some((row) => row.name === one.value));
  const add = () => {
    if (!free) return;
    const key = Math.max(0, ...rows.map((row) => row.key)) + 1;
    onChange([
      ...rows,
      {
        key,
        name: free.value,
        kind: "values",
        values: [],
        low: null,
        high: null,
        count: 4,
        isFresh: true,
      },
    ]);
  };
  return (
    <Panel title="Search space" note="Fields that vary. All others are as in the configuration below.">
      <Stack gap="md">
        {rows.map((row, at) => {
          const field = `parameters.${row.name}`;
          const chosen = choices.find((one) => one.value === row.name);
          const wrong = ["low", "high", "count", "values"].find((part) => problemOf(`${field}.${part}`));
          const whole = wrong ? undefined : problemOf(field);
          return (
            <div key={row.key} data-parameter={row.name}>
              <Group
                gap="xs"
                align="flex-start"
                wrap="wrap"
                role="group"
                aria-label={`Parameter ${at + 1}`}
                // Not for a complete row: the click that leaves it may be on Launch, which waits for a changed plan.
                onBlur={({ currentTarget, relatedTarget }) => {
                  if (isStillBlank(row) && !currentTarget.contains(relatedTarget))
                    change(row.key, { isFresh: false });
                }}
              >
                <Select
                  aria-label={`Field of parameter ${at + 1}`}
                  comboboxProps={closedOptions}
                  data={grouped(choices, row.name, rows)}
                  value={row.name}
                  onChange={(name) => {
                    const next = choices.find((one) => one.value === name);
                    if (name)
                      change(row.key, {
                        name,
                        kind: next?.isNumber ? row.kind : "values",
                        values: [],
                        isFresh: true,
                      });
                  }}
                  {...searchable}
                  allowDeselect={false}
                  flex="2 1 220px"
                  error={whole}
                />
                <Select
                  aria-label={`Kind of parameter ${at + 1}`}
                  comboboxProps={closedOptions}
                  data={chosen && !chosen.isNumber ? kinds.slice(0, 1) : kinds}
                  value={row.kind}
                  onChange={(next) => next && change(row.key, { kind: next as SpaceKind, isFresh: true })}
                  allowDeselect={false}
                  w={118}
                />
                {row.kind === "values" ? (
                  <TagsInput
                    aria-label={`Values of parameter ${at + 1}`}
                    comboboxProps={closedOptions}
                    placeholder={row.values.length ? "" : "Type a value, then Enter"}
                    value={row.values}
                    onChange={(values) => change(row.key, { values })}
                    data={chosen?.suggestions ?? []}
                    flex="3 1 240px"
                    error={problemOf(`${field}.values`)}
                  />
                ) : (
                  <>
                    <DecimalInput
                      aria-label={`Lowest value of parameter ${at + 1}`}
                      placeholder="Lowest"
                      value={row.low}
                      onChange={(low) => change(row.key, { low })}
                      flex="1 1 90px"
                      error={problemOf(`${field}.low`)}
                    />
                    <DecimalInput
                      aria-label={`Highest value of parameter ${at + 1}`}
                      placeholder="Highest"
                      value={row.high}
                      onChange={(high) => change(row.key, { high })}
                      flex="1 1 90px"
                      error={problemOf(`${field}.high`)}
                    />
                    {kind === "grid" ? (
                      <NumberInput
                        aria-label={`Number of values of parameter ${at + 1}`}
                        placeholder="Values"
                        value={typeof row.count === "number" ? row.count : ""}
                        onChange={(count) => change(row.key, { count: count === "" ? null : count })}
                        min={2}
                        max={100}
                        allowDecimal={false}
                        w={92}
                        error={problemOf(`${field}.count`)}
                      />
                    ) : null}
                  </>
                )}
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  size={36}
                  aria-label={`Remove parameter ${at + 1}`}
                  onClick={() => onChange(rows.filter((one) => one.key !== row.key))}
                >
                  <IconTrash size={16} />
                </ActionIcon>
              </Group>
            </div>
          );
        })}
        {rows.length === 0 ? (
          <Text size="sm" c="red" role="alert">
            {problemOf("parameters") ?? "Add a field."}
          </Text>
        ) : null}
        <Group>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPlus size={14} />}
            onClick={add}
            disabled={!free || rows.length >= 20}
          >
            Add a field
          </Button>
        </Group>
      </Stack>
    </Panel>
  );
}

/** Each field once; fields from YAML that the form does not know are kept. */
function grouped(choices: readonly Choice[], own: string, rows: readonly ParameterRow[]) {
  const free = choices.filter((one) => one.value === own || !rows.some((row) => row.name === one.value));
  const groups = [...new Set(free.map((one) => one.group))].map((group) => ({
    group,
    items: free.filter((one) => one.group === group).map(({ value, label }) => ({ value, label })),
  }));
  return choices.some((one) => one.value === own)
    ? groups
    : [{ group: "From the YAML", items: [{ value: own, label: own }] }, ...groups];
}
