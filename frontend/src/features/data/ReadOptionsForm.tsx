import { Button, Group, Select } from "@mantine/core";
import { useState } from "react";
import type { ReadOptions } from "@/api/types";

const formats = [
  { value: "csv", label: "Table (CSV, TSV)" },
  { value: "json", label: "JSON" },
  { value: "parquet", label: "Parquet" },
];
const encodings = ["utf-8", "utf-16", "utf-32", "windows-1252", "latin-1"];
const separators = [
  { value: ",", label: "Comma" },
  { value: ";", label: "Semicolon" },
  { value: "\t", label: "Tab" },
  { value: "|", label: "Vertical bar" },
];

interface ReadOptionsFormProps {
  options: ReadOptions;
  isBusy: boolean;
  onSubmit: (options: ReadOptions) => void;
  onCancel: () => void;
}

/** How a file is read. An empty choice is detected. */
export function ReadOptionsForm({ options, isBusy, onSubmit, onCancel }: ReadOptionsFormProps) {
  const [format, setFormat] = useState<string | null>(options.format ?? null);
  const [encoding, setEncoding] = useState<string | null>(options.encoding ?? null);
  const [separator, setSeparator] = useState<string | null>(options.separator ?? null);
  const detected = { placeholder: "Detected", clearable: true, size: "xs" as const };
  return (
    <Group gap="xs" align="flex-end">
      <Select label="Format" data={formats} value={format} onChange={setFormat} {...detected} />
      <Select label="Encoding" data={encodings} value={encoding} onChange={setEncoding} {...detected} />
      <Select label="Separator" data={separators} value={separator} onChange={setSeparator} {...detected} />
      <Button
        size="xs"
        loading={isBusy}
        onClick={() => onSubmit({ format, encoding, separator } as ReadOptions)}
      >
        Import
      </Button>
      <Button size="xs" variant="default" onClick={onCancel}>
        Cancel
      </Button>
    </Group>
  );
}
