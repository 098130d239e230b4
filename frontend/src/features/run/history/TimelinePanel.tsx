import { ScrollArea, Text } from "@mantine/core";
import { Panel } from "@/components/layout/Panel";
import { scrolledByKeys } from "@/components/layout/scroll";
import { clock, count, dateTime } from "@/components/text/format";
import { type TimelineEvent, timelineSentence } from "@/features/run/live/timeline";

interface TimelinePanelProps {
  events: readonly TimelineEvent[];
  /** Last event that was read, if the run has more; null: all were read. */
  readTo: number | null;
}

export function TimelinePanel({ events, readTo }: TimelinePanelProps) {
  return (
    <Panel
      title="Timeline"
      note={
        readTo === null
          ? undefined
          : `From the first ${count(readTo)} events and those since the page was opened.`
      }
    >
      <ScrollArea.Autosize mah="40vh" viewportProps={scrolledByKeys}>
        <ul className="timeline">
          {[...events].reverse().map((event) => (
            <li key={event.seq}>
              <Text span size="xs" c="dimmed" className="numbers" title={dateTime(event.time)}>
                {clock(event.time)}
              </Text>
              <Text span size="sm" c={event.kind === "warning" ? "orange" : undefined}>
                {timelineSentence(event)}
              </Text>
            </li>
          ))}
        </ul>
      </ScrollArea.Autosize>
    </Panel>
  );
}
