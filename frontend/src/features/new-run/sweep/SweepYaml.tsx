import { Stack, Text, Textarea } from "@mantine/core";
import { useState } from "react";
import { parseDocument } from "yaml";
import { ApiText } from "@/components/text/ApiText";
import { type AskedSweep, askedOf, type SweepBody, sweepYaml } from "./request";

interface SweepYamlProps {
  body: SweepBody;
  onRead: (asked: AskedSweep) => void;
  onBroken: (isBroken: boolean) => void;
}

/** The sweep as YAML, to read, edit and paste. */
export function SweepYaml({ body, onRead, onBroken }: SweepYamlProps) {
  const [text, setText] = useState(() => sweepYaml(body));
  const [error, setError] = useState<string | null>(null);
  const read = (next: string) => {
    setText(next);
    const asked = askedIn(next);
    const wrong = "error" in asked ? asked.error : null;
    setError(wrong);
    onBroken(wrong !== null);
    if (!("error" in asked)) onRead(asked);
  };
  return (
    <Stack gap="xs">
      <Text size="xs" c="dimmed">
        <ApiText>Edit or paste here; the form and the plan are updated.</ApiText>
      </Text>
      <Textarea
        aria-label="Sweep as YAML"
        value={text}
        onChange={(event) => read(event.currentTarget.value)}
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

function askedIn(text: string): AskedSweep | { error: string } {
  const document = parseDocument(text, { prettyErrors: true });
  const wrong = document.errors[0];
  if (wrong) return { error: `This is not valid YAML: ${wrong.message.split("\n")[0]}` };
  return askedOf(document.toJS({ maxAliasCount: 20 }));
}
