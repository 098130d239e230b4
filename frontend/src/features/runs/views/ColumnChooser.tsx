import {
  ActionIcon,
  Button,
  Checkbox,
  Group,
  Popover,
  ScrollArea,
  Stack,
  Text,
  TextInput,
  Tooltip,
} from "@mantine/core";
import { IconColumns3 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { fieldsQuery } from "@/features/runs/query/queries";
import { defaultColumns } from "@/features/runs/query/view";

interface ColumnChooserProps {
  value: string[];
  onChange: (columns: string[]) => void;
}

const mostShown = 60;
const mostChosen = 30;
const mostSteps = 3;
const plain = /^[^."\s()=<>!~,]+$/;

/** `at 200`, `at_200`: the value of evaluations at this step. */
const atStep = /\bat[\s_](\d{1,9})\b/i;

/** Which fields of the configuration and which metrics the table shows. */
export function ColumnChooser({ value, onChange }: ColumnChooserProps) {
  return (
    <Popover width={340} position="bottom-end" shadow="md" withinPortal>
      <Popover.Target>
        <Tooltip label="Columns">
          <ActionIcon variant="default" size={36} aria-label="Choose columns">
            <IconColumns3 size={17} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown>
        <Choices value={value} onChange={onChange} />
      </Popover.Dropdown>
    </Popover>
  );
}

function Choices({ value, onChange }: ColumnChooserProps) {
  const [words, setWords] = useState("");
  const fields = useQuery(fieldsQuery);
  const step = atStep.exec(words)?.[1];
  const choices = useMemo<string[]>(() => {
    const { items = [], metrics = [], steps = [] } = fields.data ?? {};
    const shownSteps = step === undefined ? steps.slice(-mostSteps) : [Number(step)];
    const ofMetrics = metrics.flatMap((metric) =>
      [
        ...["best", "last", "min", "max", "best_step", "last_step"],
        ...(metric.startsWith("eval_") ? shownSteps.map((each) => `at_${each}`) : []),
      ].map((part) => `metrics.${plain.test(metric) ? metric : JSON.stringify(metric)}.${part}`),
    );
    const own = items
      .filter((field) => field.is_sortable && !shownAnyway.has(field.name))
      .map((field) => field.name);
    return [
      ...own.filter((name) => !name.startsWith("config.")),
      ...ofMetrics,
      ...own.filter((name) => name.startsWith("config.")),
    ];
  }, [fields.data, step]);
  // Those chosen when it opens come first; a click moves nothing.
  const [first] = useState(value);
  const wanted = words
    .toLowerCase()
    .replace(atStep, `at_${Number(step)}`)
    .split(/\s+/)
    .filter(Boolean);
  const isWanted = (name: string) => wanted.every((word) => name.toLowerCase().includes(word));
  const others = choices.filter((name) => isWanted(name) && !first.includes(name));
  const toggle = (name: string) =>
    onChange(
      value.includes(name) ? value.filter((each) => each !== name) : [...value, name].slice(0, mostChosen),
    );
  return (
    <Stack gap="xs">
      <TextInput
        size="xs"
        aria-label="Find a column"
        placeholder="Find a field or a metric"
        description="For the value at a step, type the step: accuracy at 200"
        value={words}
        onChange={(event) => setWords(event.currentTarget.value)}
        data-autofocus
      />
      <ScrollArea.Autosize mah={340} type="auto">
        <Stack gap={6} pr="sm">
          {[...first.filter(isWanted), ...others.slice(0, mostShown)].map((name) => (
            <Checkbox
              key={name}
              size="xs"
              checked={value.includes(name)}
              label={name}
              onChange={() => toggle(name)}
            />
          ))}
          {others.length > mostShown ? (
            <Text size="xs" c="dimmed">
              and {others.length - mostShown} more; type to find them.
            </Text>
          ) : null}
        </Stack>
      </ScrollArea.Autosize>
      <Group justify="flex-end">
        <Button
          size="compact-xs"
          variant="subtle"
          color="gray"
          disabled={String(value) === String(defaultColumns)}
          onClick={() => onChange(defaultColumns)}
        >
          Default columns
        </Button>
      </Group>
    </Stack>
  );
}

/** Fields that columns of every table show. */
const shownAnyway = new Set([
  "name",
  "id",
  "status",
  "method",
  "model",
  "data",
  "headline",
  "step",
  "progress",
  "created",
]);
