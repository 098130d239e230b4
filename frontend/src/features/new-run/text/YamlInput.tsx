import { Button, Group, Stack, Text, Textarea } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { fileName, saveFile } from "@/components/files/save-file";
import { ApiText } from "@/components/text/ApiText";
import { CopyTextButton } from "@/components/text/CopyTextButton";

interface YamlInputProps {
  label: string;
  note: string;
  text: string;
  onChange: (text: string) => void;
  error: string | boolean;
  /** Name of the saved file, without its ending. */
  file: string;
}

/** Text that describes a run or a sweep, to read, edit, paste, copy and save. */
export function YamlInput({ label, note, text, onChange, error, file }: YamlInputProps) {
  return (
    <Stack gap="xs">
      <TextHead text={text} note={note} file={`${fileName(file)}.yaml`} />
      <Textarea
        aria-label={label}
        value={text}
        onChange={(event) => onChange(event.currentTarget.value)}
        error={error}
        autosize
        minRows={18}
        maxRows={60}
        spellCheck={false}
        styles={{
          input: {
            fontFamily: "var(--mantine-font-family-monospace)",
            fontSize: 13,
            color: "var(--mantine-color-text)",
          },
        }}
      />
    </Stack>
  );
}

/** What the text below is for, with buttons that copy and save it. */
export function TextHead({ text, note, file }: { text: string; note: string; file?: string }) {
  return (
    <Group justify="space-between" gap="xs">
      <Text size="xs" c="dimmed" flex="1 1 240px">
        <ApiText>{note}</ApiText>
      </Text>
      <Group gap="xs">
        <CopyTextButton text={text} />
        {file ? (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconDownload size={14} />}
            onClick={() => saveFile(file, new Blob([text], { type: "text/plain" }))}
          >
            Save
          </Button>
        ) : null}
      </Group>
    </Group>
  );
}
