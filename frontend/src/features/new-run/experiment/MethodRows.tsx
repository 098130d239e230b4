import { ActionIcon, Button, FileButton, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus, IconTrash, IconUpload } from "@tabler/icons-react";
import { useState } from "react";
import { useMethods } from "@/components/runs/methods";
import { plural } from "@/components/text/plural";
import { closedOptions } from "@/features/new-run/form/FieldInput";
import { type MethodRow, patternIn } from "./request";

interface MethodRowsProps {
  rows: MethodRow[];
  onChange: (rows: MethodRow[]) => void;
  /** The method whose ranks are given; null until the schema is known. */
  givenRanks: string | null;
  /** The API's sentence about each row. */
  problems: ReadonlyMap<number, string>;
}

const most = 12;
const largestFile = 1_000_000;

/** The methods to compare with plain LoRA, which is always the baseline. */
export function MethodRows({ rows, onChange, givenRanks, problems }: MethodRowsProps) {
  const [refusal, setRefusal] = useState<string | null>(null);
  const choices = useMethods()
    // Those that choose ranks, and those without ranks as an upper bound.
    .filter((one) => !one.has_ranks || (one.rank_changes !== "never" && one.budget_field !== null))
    .map((one) => ({ value: one.name, label: one.title }));
  const next = Math.max(0, ...rows.map((row) => row.key)) + 1;
  const unused = choices.find((one) => !rows.some((row) => row.method === one.value)) ?? choices[0];
  const change = (key: number, part: Partial<MethodRow>) =>
    onChange(rows.map((row) => (row.key === key ? { ...row, ...part } : row)));
  const upload = async (file: File | null) => {
    if (!file || !givenRanks) return;
    const read = file.size > largestFile ? "It is larger than 1 MB." : patternIn(await file.text());
    if (typeof read === "string") setRefusal(`${file.name}: ${read}`);
    else {
      setRefusal(null);
      onChange([
        ...rows,
        { key: next, method: givenRanks, options: "", pattern: { name: file.name, ranks: read } },
      ]);
    }
  };
  return (
    <Stack gap="sm">
      {rows.map((row, index) => (
        <Group key={row.key} gap="sm" align="flex-end" wrap="wrap">
          {row.pattern ? (
            <Text size="sm" flex="1 1 220px" py={6} style={{ overflowWrap: "anywhere" }}>
              Plain LoRA with the ranks of <strong>{row.pattern.name}</strong>{" "}
              <Text span c="dimmed">
                ({plural(Object.keys(row.pattern.ranks).length, "module")})
              </Text>
            </Text>
          ) : (
            <>
              <Select
                label="Method"
                comboboxProps={closedOptions}
                data={choices}
                value={row.method}
                onChange={(method) => method && change(row.key, { method, options: "" })}
                allowDeselect={false}
                flex="1 1 200px"
                data-testid={`method-${index}`}
              />
              <TextInput
                label="Options"
                placeholder="name=value, name=value"
                value={row.options}
                onChange={(event) => change(row.key, { options: event.currentTarget.value })}
                flex="1 1 180px"
              />
            </>
          )}
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={`Remove method ${index + 1}`}
            onClick={() => onChange(rows.filter((one) => one.key !== row.key))}
            disabled={rows.length === 1}
          >
            <IconTrash size={16} />
          </ActionIcon>
          {problems.get(index) ? (
            <Text size="xs" c="red" w="100%" role="alert">
              {problems.get(index)}
            </Text>
          ) : null}
        </Group>
      ))}
      <Group gap="xs">
        <Button
          variant="default"
          size="xs"
          leftSection={<IconPlus size={14} />}
          disabled={!unused || rows.length >= most}
          onClick={() =>
            unused && onChange([...rows, { key: next, method: unused.value, options: "", pattern: null }])
          }
        >
          Add a method
        </Button>
        <FileButton accept="application/json,.json" onChange={(file) => void upload(file)}>
          {(button) => (
            <Button
              {...button}
              variant="default"
              size="xs"
              leftSection={<IconUpload size={14} />}
              disabled={!givenRanks || rows.length >= most}
            >
              Add ranks from a file
            </Button>
          )}
        </FileButton>
      </Group>
      {refusal ? (
        <Text size="xs" c="red" role="alert">
          {refusal}
        </Text>
      ) : null}
    </Stack>
  );
}
