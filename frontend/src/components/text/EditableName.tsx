import { ActionIcon, Group, TextInput, Title } from "@mantine/core";
import { IconCheck, IconPencil, IconX } from "@tabler/icons-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import "./editable-name.css";

interface EditableNameProps {
  name: string;
  /** Accessible name of the input, such as "Name of the run". */
  label: string;
  onRename: (name: string) => void;
}

/** The title of a page; a pencil makes it editable. */
export function EditableName({ name, label, onRename }: EditableNameProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const pencil = useRef<HTMLButtonElement>(null);
  const wasEdited = useRef(false);
  const isEdited = draft !== null;
  useEffect(() => {
    if (wasEdited.current && !isEdited) pencil.current?.focus();
    wasEdited.current = isEdited;
  }, [isEdited]);
  if (draft === null) {
    return (
      <Group gap={4} wrap="nowrap" style={{ minWidth: 0 }}>
        <Title order={1} className="editable-name" title={name}>
          {name}
        </Title>
        <ActionIcon
          ref={pencil}
          variant="subtle"
          color="gray"
          aria-label="Rename"
          onClick={() => setDraft(name)}
        >
          <IconPencil size={15} />
        </ActionIcon>
      </Group>
    );
  }
  const save = (event: FormEvent) => {
    event.preventDefault();
    const next = draft.trim();
    if (next && next !== name) onRename(next);
    setDraft(null);
  };
  return (
    <Group
      component="form"
      onSubmit={save}
      gap={4}
      wrap="nowrap"
      style={{ flex: "1 1 260px", maxWidth: 520 }}
    >
      <TextInput
        aria-label={label}
        value={draft}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && setDraft(null)}
        maxLength={200}
        autoFocus
        style={{ flex: 1 }}
      />
      <ActionIcon type="submit" variant="light" size={34} aria-label="Save the name" disabled={!draft.trim()}>
        <IconCheck size={16} />
      </ActionIcon>
      <ActionIcon
        variant="subtle"
        color="gray"
        size={34}
        aria-label="Keep the old name"
        onClick={() => setDraft(null)}
      >
        <IconX size={16} />
      </ActionIcon>
    </Group>
  );
}
