import { Button, Group, Stack, Text, UnstyledButton } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { useId, useState } from "react";
import type { Answer, VariantComparison, Verdict } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import type { Unit } from "@/components/text/metric-unit";
import { plural } from "@/components/text/plural";
import { Evidence } from "./Evidence";
import { VerdictBadge } from "./VerdictBadge";

const few = 8;
const words: [Verdict, string][] = [
  ["better", "better"],
  ["worse", "worse"],
  ["equivalent", "equivalent"],
  ["cannot_tell", "can't tell"],
];

/** One sentence per comparison, the strongest first. Each opens to its seeds and runs. */
export function SentencesPanel({ answer, unit }: { answer: Answer; unit: Unit }) {
  const [showsAll, setShowsAll] = useState(false);
  const every = answer.comparisons.filter((one) => !one.is_control);
  const counts = words
    .map(([verdict, word]) => [every.filter((one) => one.verdict === verdict).length, word] as const)
    .filter(([n]) => n > 0);
  return (
    <Panel
      title="What the results show"
      note={
        every.length > 1
          ? `${plural(every.length, "comparison")}, corrected together (their intervals are not): ${counts.map(([n, word]) => `${n} ${word}`).join(", ")}. The strongest first.`
          : null
      }
    >
      {every.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing can be compared yet: a variant and the baseline need a finished trial at the same budget and
          seed.{answer.tuning.length ? " Trials that tune learning rates come first and don't count." : ""}
        </Text>
      ) : (
        <Stack gap={0} component="ul" className="sentences">
          {(showsAll ? every : every.slice(0, few)).map((comparison) => (
            <Sentence key={comparison.id} comparison={comparison} unit={unit} />
          ))}
        </Stack>
      )}
      {every.length > few ? (
        <Button variant="default" size="xs" mt="sm" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show fewer" : `Show all ${every.length}`}
        </Button>
      ) : null}
    </Panel>
  );
}

function Sentence({ comparison, unit }: { comparison: VariantComparison; unit: Unit }) {
  const [isOpen, setOpen] = useState(false);
  const evidence = useId();
  return (
    <li className="sentence" data-testid="sentence">
      <UnstyledButton
        onClick={() => setOpen(!isOpen)}
        aria-expanded={isOpen}
        aria-controls={evidence}
        className="sentence-head"
      >
        <IconChevronRight size={14} className={isOpen ? "chevron is-open" : "chevron"} aria-hidden />
        <Group gap="xs" className="sentence-body">
          <VerdictBadge comparison={comparison} />
          <Text size="sm" component="span" style={{ flex: "1 1 340px" }}>
            {comparison.text}
          </Text>
        </Group>
      </UnstyledButton>
      <div id={evidence}>{isOpen ? <Evidence comparison={comparison} unit={unit} /> : null}</div>
    </li>
  );
}
