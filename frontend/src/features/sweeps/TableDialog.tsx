import {
  Button,
  Code,
  Group,
  Modal,
  MultiSelect,
  ScrollArea,
  SegmentedControl,
  Select,
  SimpleGrid,
  Skeleton,
  Stack,
} from "@mantine/core";
import { IconCopy, IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { SweepDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { notify, notifyError } from "@/components/feedback/toast";
import { fileName, saveFile } from "@/components/files/save-file";
import { tableQuery } from "./queries";
import { shortName } from "./sweep-text";

const forms = [
  { value: "markdown", label: "Markdown", ending: "md" },
  { value: "latex", label: "LaTeX", ending: "tex" },
  { value: "csv", label: "CSV", ending: "csv" },
] as const;

interface TableDialogProps {
  sweep: SweepDetail;
  opened: boolean;
  onClose: () => void;
}

/** The results as a table for a paper: all points, or the best point for each combination of some parameters. */
export function TableDialog({ sweep, opened, onClose }: TableDialogProps) {
  const { parameters } = sweep;
  const [form, setForm] = useState<(typeof forms)[number]>(forms[0]);
  const [rows, setRows] = useState<string | null>(parameters.includes("method.name") ? "method.name" : null);
  const [columns, setColumns] = useState<string[]>(
    rows !== null && parameters.includes("budget") ? ["budget"] : [],
  );
  const table = useQuery({
    ...tableQuery(sweep.id, sweep.revision, { format: form.value, rows, columns }),
    enabled: opened,
  });
  const text = table.data;
  const choices = (taken: readonly string[]) =>
    parameters
      .filter((name) => !taken.includes(name))
      .map((name) => ({ value: name, label: shortName(name) }));
  const copy = async (what: string) => {
    await navigator.clipboard.writeText(what);
    notify(`Copied the table as ${form.label}.`);
  };
  return (
    <Modal opened={opened} onClose={onClose} title="Table for a paper" size="xl" centered>
      <Stack gap="md">
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
          <Select
            label="Rows"
            placeholder="All points"
            description="Each cell is the best point with these values."
            data={choices(columns)}
            value={rows}
            onChange={(next) => {
              setRows(next);
              if (next === null) setColumns([]);
            }}
            clearable
          />
          <MultiSelect
            label="Columns"
            description={rows === null ? "For a matrix, choose rows first." : "At most two parameters."}
            data={choices(rows === null ? [] : [rows])}
            value={columns}
            onChange={setColumns}
            maxValues={2}
            disabled={rows === null}
            clearable
          />
        </SimpleGrid>
        <SegmentedControl
          aria-label="Format"
          data={forms.map(({ value, label }) => ({ value, label }))}
          value={form.value}
          onChange={(value) => setForm(forms.find((one) => one.value === value) ?? forms[0])}
          w="fit-content"
        />
        {table.error ? (
          <ErrorState error={table.error} onRetry={() => void table.refetch()} />
        ) : text === undefined ? (
          <Skeleton height={180} aria-label="Loading" aria-busy />
        ) : (
          <ScrollArea.Autosize mah={320} type="auto">
            <Code block data-testid="sweep-table" style={{ whiteSpace: "pre", overflow: "visible" }}>
              {text}
            </Code>
          </ScrollArea.Autosize>
        )}
        <Group justify="flex-end" gap="xs">
          <Button
            variant="default"
            leftSection={<IconDownload size={16} />}
            disabled={text === undefined}
            onClick={() =>
              saveFile(
                `${fileName(sweep.name)}.${form.ending}`,
                new Blob([text ?? ""], { type: "text/plain" }),
              )
            }
          >
            Save
          </Button>
          <Button
            leftSection={<IconCopy size={16} />}
            disabled={text === undefined}
            onClick={() =>
              void copy(text ?? "").catch((error: unknown) => notifyError("Could not copy the table", error))
            }
          >
            Copy
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
