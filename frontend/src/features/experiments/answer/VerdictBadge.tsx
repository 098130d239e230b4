import { Badge, Group } from "@mantine/core";
import {
  IconArrowDown,
  IconArrowUp,
  IconEqual,
  IconQuestionMark,
  type TablerIcon,
} from "@tabler/icons-react";
import type { VariantComparison, Verdict } from "@/api/types";

const looks: Record<Verdict, { label: string; colour: string; icon: TablerIcon }> = {
  better: { label: "Better", colour: "teal", icon: IconArrowUp },
  worse: { label: "Worse", colour: "red", icon: IconArrowDown },
  equivalent: { label: "Equivalent", colour: "blue", icon: IconEqual },
  cannot_tell: { label: "Can't tell", colour: "gray", icon: IconQuestionMark },
};

/** The verdict as text, symbol and colour; a difference that is too small to matter has a second badge. */
export function VerdictBadge({ comparison }: { comparison: VariantComparison }) {
  const { label, colour, icon: Icon } = looks[comparison.verdict];
  const isSmall =
    (comparison.verdict === "better" || comparison.verdict === "worse") &&
    comparison.size === "less_than_matters";
  return (
    <Group gap={4} wrap="nowrap">
      <Badge
        variant="light"
        color={colour}
        radius="sm"
        tt="none"
        leftSection={<Icon size={12} aria-hidden />}
        data-verdict={comparison.verdict}
        className="verdict"
      >
        {label}
      </Badge>
      {isSmall ? (
        <Badge
          variant="outline"
          color="gray"
          radius="sm"
          tt="none"
          title="The whole interval is within the margin"
        >
          Too small to matter
        </Badge>
      ) : null}
    </Group>
  );
}
