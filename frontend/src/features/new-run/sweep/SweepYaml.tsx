import { useState } from "react";
import { parseDocument } from "yaml";
import { YamlInput } from "@/features/new-run/text/YamlInput";
import { type AskedSweep, askedOf, type SweepBody, sweepYaml } from "./request";

interface SweepYamlProps {
  body: SweepBody;
  onRead: (asked: AskedSweep) => void;
  onBroken: (isBroken: boolean) => void;
}

/** The sweep as YAML, to read, edit, paste, copy and save. */
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
    <YamlInput
      label="Sweep as YAML"
      note="Edit or paste here; the form and the plan are updated. `rankscope sweep FILE` accepts the same file."
      text={text}
      onChange={read}
      error={error ?? false}
      file={String(body["name"] || "sweep")}
    />
  );
}

function askedIn(text: string): AskedSweep | { error: string } {
  const document = parseDocument(text, { prettyErrors: true });
  const wrong = document.errors[0];
  if (wrong) return { error: `This is not valid YAML: ${wrong.message.split("\n")[0]}` };
  return askedOf(document.toJS({ maxAliasCount: 20 }));
}
