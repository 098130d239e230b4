import { Group, NumberInput, TagsInput, TextInput } from "@mantine/core";
import type { FieldProblem } from "@/api/types";
import type { Edit } from "./unsaved";

interface RunFieldsProps {
  edit: Edit;
  onChange: (part: Partial<Edit>) => void;
  problems: readonly FieldProblem[];
}

/** What a run has besides its configuration: name, tags and priority. */
export function RunFields({ edit, onChange, problems }: RunFieldsProps) {
  return (
    <Group gap="md" align="flex-start">
      <TextInput
        label="Name"
        placeholder="Generated from method, model and data"
        value={edit.name}
        onChange={(event) => onChange({ name: event.currentTarget.value })}
        maxLength={200}
        error={problems.find((problem) => problem.field === "name")?.message}
        flex="2 1 220px"
      />
      <TagsInput
        label="Tags"
        placeholder={edit.tags.length ? "" : "none"}
        value={edit.tags}
        onChange={(tags) => onChange({ tags })}
        maxTags={50}
        error={problems.find((problem) => problem.field.startsWith("tags"))?.message}
        flex="1 1 160px"
      />
      <NumberInput
        label="Priority"
        title="Runs with a higher priority start first; those with the same priority in the order in which they were queued."
        value={edit.priority}
        onChange={(next) => onChange({ priority: Number(next) || 0 })}
        min={-1000}
        max={1000}
        allowDecimal={false}
        w={96}
      />
    </Group>
  );
}
