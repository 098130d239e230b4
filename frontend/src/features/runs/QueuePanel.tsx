import { ActionIcon, Button, Collapse, Group, Stack, Text } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp, IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { KeyboardEvent } from "react";
import { Link } from "react-router";
import { queueQuery } from "@/api/queries";
import type { RunSummary } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { stateOf } from "@/components/runs/run-state";
import { StatusBadge } from "@/components/runs/StatusBadge";
import { useRunActions } from "@/components/runs/use-run-actions";
import { ApiText } from "@/components/text/ApiText";

const shown = 8;
/** A longer queue is folded until you open it, because it would push the table off the screen. */
const longestOpen = 5;

/** Waiting runs in their order, which can be changed; nothing if there are fewer than two. */
export function QueuePanel() {
  const queue = useQuery(queueQuery);
  const { reorder } = useRunActions();
  const runs = queue.data ?? [];
  const [choice, setChoice] = useLocalStorage<"open" | "folded" | "">({
    key: "rankscope-queue",
    defaultValue: "",
  });
  if (runs.length < 2) return null;
  const isOpen = choice === "" ? runs.length <= longestOpen : choice === "open";
  const move = (index: number, by: -1 | 1) => {
    const one = runs[index];
    const other = runs[index + by];
    if (!one || !other) return;
    reorder.mutate(by < 0 ? [one.id, other.id] : [other.id, one.id]);
  };
  return (
    <Panel
      title={`Queue: ${runs.length} runs`}
      actions={
        <Button
          size="compact-sm"
          variant="subtle"
          color="gray"
          aria-expanded={isOpen}
          leftSection={isOpen ? <IconChevronDown size={14} /> : <IconChevronRight size={14} />}
          onClick={() => setChoice(isOpen ? "folded" : "open")}
        >
          {isOpen ? "Hide" : "Show"}
        </Button>
      }
    >
      <Collapse expanded={isOpen}>
        <Text c="dimmed" size="xs" mb="xs">
          The next run is first. Use the arrows to change the order, or Alt and the arrow keys on a focused
          run.
        </Text>
        <Stack gap={2} component="ol" m={0} pl={0} style={{ listStyle: "none" }} data-testid="queue">
          {runs.slice(0, shown).map((run, index) => (
            <QueueLine
              key={run.id}
              run={run}
              isFirst={index === 0}
              isLast={index === runs.length - 1}
              onMove={(by) => move(index, by)}
            />
          ))}
        </Stack>
        {runs.length > shown ? (
          <Text size="xs" c="dimmed" mt={4}>
            <ApiText>{`and ${runs.length - shown} more; \`rankscope queue\` lists and orders them all.`}</ApiText>
          </Text>
        ) : null}
      </Collapse>
    </Panel>
  );
}

interface QueueLineProps {
  run: RunSummary;
  isFirst: boolean;
  isLast: boolean;
  onMove: (by: -1 | 1) => void;
}

function QueueLine({ run, isFirst, isLast, onMove }: QueueLineProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    event.preventDefault();
    onMove(event.key === "ArrowUp" ? -1 : 1);
  };
  return (
    <Group component="li" gap={8} wrap="nowrap" onKeyDown={onKeyDown} data-run={run.id}>
      <ActionIcon
        variant="subtle"
        size="sm"
        aria-label={`Move ${run.name} up`}
        // Not `disabled`: the button would lose the focus when its run reaches the end.
        aria-disabled={isFirst}
        onClick={() => onMove(-1)}
        style={isFirst ? { opacity: 0.35 } : undefined}
      >
        <IconArrowUp size={14} />
      </ActionIcon>
      <ActionIcon
        variant="subtle"
        size="sm"
        aria-label={`Move ${run.name} down`}
        aria-disabled={isLast}
        onClick={() => onMove(1)}
        style={isLast ? { opacity: 0.35 } : undefined}
      >
        <IconArrowDown size={14} />
      </ActionIcon>
      <StatusBadge state={stateOf(run)} />
      <Link to={`/runs/${run.id}`} className="plain-link clip" style={{ fontSize: 14, minWidth: 0 }}>
        {run.name}
      </Link>
      {run.priority ? (
        <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
          priority {run.priority}
        </Text>
      ) : null}
    </Group>
  );
}
