import { Button, CopyButton, Group, Stack, Text, Textarea } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import type { ConfigDraft } from "@/api/types";
import { ApiText } from "@/components/text/ApiText";
import { curlOf, fromYaml, type LaunchFields, type LaunchText, toYaml } from "./text-forms";

export interface TypedYaml {
  text: string;
  config: ConfigDraft;
}

interface YamlViewProps {
  draft: ConfigDraft;
  /** Typed text that is not valid. */
  broken: { text: string; error: string } | null;
  /** The last valid text, with its comments, and its configuration. */
  typed: TypedYaml | null;
  onRead: (text: string, read: LaunchText) => void;
  onBroken: (broken: { text: string; error: string }) => void;
}

/** The configuration as YAML, to read, edit and paste. */
export function YamlView({ draft, broken, typed, onRead, onBroken }: YamlViewProps) {
  // Keep the typed text while it describes the current configuration.
  const text =
    broken?.text ??
    (typed && JSON.stringify(typed.config) === JSON.stringify(draft) ? typed.text : toYaml(draft));
  const change = (next: string) => {
    const read = fromYaml(next);
    if ("error" in read) onBroken({ text: next, error: read.error });
    else onRead(next, read);
  };
  return (
    <Stack gap="xs">
      <Head
        text={text}
        note="Edit or paste here; the form and the plan are updated. `rankscope launch FILE` accepts the same file."
      />
      <Textarea
        aria-label="Configuration as YAML"
        value={text}
        onChange={(event) => change(event.currentTarget.value)}
        error={broken !== null}
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

/** The launch as a curl command. */
export function CurlView({ draft, fields }: { draft: ConfigDraft; fields: LaunchFields }) {
  const text = curlOf(draft, fields, window.location.origin);
  return (
    <Stack gap="xs">
      <Head text={text} note="Use the token that `rankscope up` printed." />
      <pre className="log">{text}</pre>
    </Stack>
  );
}

function Head({ text, note }: { text: string; note: string }) {
  return (
    <Group justify="space-between" gap="xs">
      <Text size="xs" c="dimmed">
        <ApiText>{note}</ApiText>
      </Text>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Button
            size="xs"
            variant="default"
            onClick={copy}
            leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          >
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
    </Group>
  );
}
