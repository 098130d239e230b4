import { TagsInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { filterCheckQuery } from "@/features/runs/query/queries";

interface TagsFieldProps {
  value: string[];
  onChange: (tags: string[]) => void;
  label?: string;
}

const question = "tag = ";

/** Tags, with suggestions from the tags of other runs. */
export function TagsField({ value, onChange, label }: TagsFieldProps) {
  const known = useQuery(filterCheckQuery(question, question.length)).data?.suggestions ?? [];
  return (
    <TagsInput
      size="xs"
      label={label}
      aria-label={label ?? "Tags"}
      placeholder={value.length === 0 ? "Type a tag, then Enter" : ""}
      data={known.map((each) => each.text.replace(/^"(.*)"$/, "$1"))}
      value={value}
      onChange={onChange}
      maxTags={50}
      maxDropdownHeight={120}
      // Above the field: below it, the list would cover the button.
      comboboxProps={{ withinPortal: false, position: "top", middlewares: { flip: false } }}
    />
  );
}
