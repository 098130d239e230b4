import { Button, CopyButton, Group, Stack, Text, Textarea } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useState } from "react";
import type { ConfigDraft } from "@/api/types";
import { curlOf, fromYaml, toYaml } from "./text-forms";

interface TextViewsProps {
  kind: "yaml" | "curl";
  draft: ConfigDraft;
  name: string;
  onDraft: (draft: ConfigDraft) => void;
}

/** The same configuration as text. */
export default function TextViews({ kind, draft, name, onDraft }: TextViewsProps) {
  return kind === "yaml" ? (
    <YamlView draft={draft} onDraft={onDraft} />
  ) : (
    <CurlView draft={draft} name={name} />
  );
}

function YamlView({ draft, onDraft }: Pick<TextViewsProps, "draft" | "onDraft">) {
  // While a person types, the text is theirs: it is not written anew from the configuration that it stands for.
  const [typed, setTyped] = useState<string | null>(null);
  const [error, setError] = useState("");
  const text = typed ?? toYaml(draft);
  const change = (next: string) => {
    setTyped(next);
    const read = fromYaml(next);
    setError("error" in read ? read.error : "");
    if ("config" in read) onDraft(read.config);
  };
  return (
    <Stack gap="xs">
      <Head
        text={text}
        note="Edit or paste here; the form and the plan follow. `rankscope launch FILE` takes the same."
      />
      <Textarea
        aria-label="Configuration as YAML"
        value={text}
        onChange={(event) => change(event.currentTarget.value)}
        onBlur={() => !error && setTyped(null)}
        error={error}
        autosize
        minRows={18}
        spellCheck={false}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 13 } }}
      />
    </Stack>
  );
}

function CurlView({ draft, name }: Pick<TextViewsProps, "draft" | "name">) {
  const text = curlOf(draft, name, window.location.origin);
  return (
    <Stack gap="xs">
      <Head text={text} note="The token is the one that `rankscope up` printed." />
      <pre className="log">{text}</pre>
    </Stack>
  );
}

function Head({ text, note }: { text: string; note: string }) {
  return (
    <Group justify="space-between" gap="xs">
      <Text size="xs" c="dimmed">
        {note}
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
