import { Button, Group, Text } from "@mantine/core";
import { useState } from "react";
import type { TableRow } from "@/api/types";
import { TagsField } from "./TagsField";
import { useLabels } from "./use-labels";

/** The tags of one run, edited and saved together. */
export function TagsForm({ run, onDone }: { run: TableRow; onDone: () => void }) {
  const [tags, setTags] = useState(run.tags);
  const { change } = useLabels();
  const save = () => {
    change.mutate({
      run_ids: [run.id],
      add_tags: tags.filter((tag) => !run.tags.includes(tag)),
      remove_tags: run.tags.filter((tag) => !tags.includes(tag)),
    });
    onDone();
  };
  return (
    <>
      <Text size="xs" c="dimmed" mb={6} className="clip">
        Tags of {run.name}
      </Text>
      <TagsField value={tags} onChange={setTags} />
      <Group justify="flex-end" mt="xs">
        <Button size="xs" onClick={save}>
          Save tags
        </Button>
      </Group>
    </>
  );
}
