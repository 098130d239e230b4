import { Popover, UnstyledButton } from "@mantine/core";
import { IconTag } from "@tabler/icons-react";
import { Suspense, useState } from "react";
import type { TableRow } from "@/api/types";
import { lazyPart } from "@/components/server/load-part";

const TagsForm = lazyPart(
  () => import("./TagsForm"),
  (part) => part.TagsForm,
);

/** The tags of a run; a click edits them. */
export function RowTags({ run }: { run: TableRow }) {
  const [isOpen, setOpen] = useState(false);
  const words = run.tags.map((tag) => `#${tag}`).join(" ");
  return (
    <Popover
      opened={isOpen}
      onChange={setOpen}
      width={300}
      position="bottom-start"
      shadow="md"
      trapFocus
      withinPortal
    >
      <Popover.Target>
        <UnstyledButton
          className={run.tags.length > 0 ? "row-tags clip" : "row-tags row-tags-empty"}
          onClick={() => setOpen(!isOpen)}
          aria-label={`${words} Edit the tags of ${run.name}`.trim()}
        >
          {words || <IconTag size={12} aria-hidden />}
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        {isOpen ? (
          <Suspense>
            <TagsForm run={run} onDone={() => setOpen(false)} />
          </Suspense>
        ) : null}
      </Popover.Dropdown>
    </Popover>
  );
}
