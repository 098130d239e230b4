import { Stack } from "@mantine/core";
import type { ConfigDraft } from "@/api/types";
import { curlOf, fromYaml, type LaunchFields, type LaunchText, toYaml } from "./text-forms";
import { TextHead, YamlInput } from "./YamlInput";

export interface TypedYaml {
  text: string;
  config: ConfigDraft;
}

interface YamlViewProps {
  draft: ConfigDraft;
  /** Of the run. */
  name: string;
  /** Typed text that is not valid. */
  broken: { text: string; error: string } | null;
  /** The last valid text, with its comments, and its configuration. */
  typed: TypedYaml | null;
  onRead: (text: string, read: LaunchText) => void;
  onBroken: (broken: { text: string; error: string }) => void;
}

/** The configuration as YAML, to read, edit and paste. */
export function YamlView({ draft, name, broken, typed, onRead, onBroken }: YamlViewProps) {
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
    <YamlInput
      label="Configuration as YAML"
      note="Edit or paste here; the form and the plan are updated. `rankscope launch FILE` accepts the same file."
      text={text}
      onChange={change}
      error={broken !== null}
      file={name || "run"}
    />
  );
}

/** The launch as a curl command. */
export function CurlView({ draft, fields }: { draft: ConfigDraft; fields: LaunchFields }) {
  const text = curlOf(draft, fields, window.location.origin);
  return (
    <Stack gap="xs">
      <TextHead text={text} note="Use the token that `rankscope up` printed." />
      <pre className="log">{text}</pre>
    </Stack>
  );
}
