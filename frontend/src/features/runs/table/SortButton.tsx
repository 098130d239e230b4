import { UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { nextSort } from "@/features/runs/query/view";

type Direction = "ascending" | "descending" | "none";

export const directionOf = (sort: string, field: string): Direction =>
  sort === field ? "ascending" : sort === `-${field}` ? "descending" : "none";

interface SortButtonProps {
  field: string;
  sort: string;
  onSort: (sort: string) => void;
  startsDescending: boolean;
  children: React.ReactNode;
}

/** The title of a column, which sorts by it. */
export function SortButton({ field, sort, onSort, startsDescending, children }: SortButtonProps) {
  const direction = directionOf(sort, field);
  return (
    <UnstyledButton className="sort-button" onClick={() => onSort(nextSort(sort, field, startsDescending))}>
      {children}
      {direction === "ascending" && <IconArrowUp size={13} aria-hidden style={{ flexShrink: 0 }} />}
      {direction === "descending" && <IconArrowDown size={13} aria-hidden style={{ flexShrink: 0 }} />}
    </UnstyledButton>
  );
}
