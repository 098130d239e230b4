import { ActionIcon, Anchor, Group, Select, Switch, Text, TextInput } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconSearch } from "@tabler/icons-react";
import { type FormEvent, type KeyboardEvent, useLayoutEffect, useRef, useState } from "react";
import type { RunDetail, RunStatus } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { bytes } from "@/components/text/format";
import { endOf, type LogPiece, startOf } from "./log-window";
import { useLog } from "./use-log";
import { hitsText, useLogSearch } from "./use-log-search";

/** More text is read within this distance of the end, in pixels. */
const nearPx = 400;

export default function LogTab({ run, status }: { run: RunDetail; status: RunStatus }) {
  const isOver = status === "done" || status === "stopped" || status === "failed";
  const [attempt, setAttempt] = useState<number | null>(null);
  const [isFollowing, setFollowing] = useState(true);
  const [query, setQuery] = useState("");
  const { log, error, readEarlier, readLater, show } = useLog(run.id, {
    attempt,
    isGrowing: !isOver && (attempt === null || attempt === run.attempt),
    isFollowing,
  });
  const search = useLogSearch(run.id, attempt, (offset) => {
    setFollowing(false);
    void show(offset);
  });
  const hit = search.hits?.offsets[search.hits.at];
  const box = useLogScroll(log?.pieces, isFollowing, hit);

  const onScroll = () => {
    const pre = box.current;
    if (!pre || !log) return;
    const below = pre.scrollHeight - pre.scrollTop - pre.clientHeight;
    setFollowing(below < 24 && endOf(log) >= log.size);
    if (pre.scrollTop < nearPx) void readEarlier();
    if (below < nearPx) void readLater();
  };
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (search.hits && search.hits.query === query) void search.step(1);
    else void search.find(query);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      void search.step(-1);
    }
  };
  const trouble = error ?? search.error;

  return (
    <Panel
      title={log ? `Log of attempt ${log.attempt}` : "Log"}
      note={log ? place(startOf(log), endOf(log), log.size) : "\u00a0"}
      actions={
        <Group gap="md">
          {run.attempts.length > 1 ? (
            <Select
              size="xs"
              w={150}
              aria-label="Attempt"
              value={attempt === null ? "" : String(attempt)}
              onChange={(next) => {
                setAttempt(next ? Number(next) : null);
                setFollowing(true);
                search.clear();
              }}
              allowDeselect={false}
              data={[
                { value: "", label: "Newest attempt" },
                ...run.attempts.map((one) => ({ value: String(one.number), label: `Attempt ${one.number}` })),
              ]}
            />
          ) : null}
          <Switch
            size="xs"
            label="Follow"
            checked={isFollowing}
            onChange={(event) => setFollowing(event.currentTarget.checked)}
          />
          <Anchor
            size="sm"
            href={`/api/v1/runs/${encodeURIComponent(run.id)}/log/download${attempt ? `?attempt=${attempt}` : ""}`}
            download
          >
            Download
          </Anchor>
        </Group>
      }
    >
      <form onSubmit={onSubmit}>
        <Group gap="xs" mb="xs" wrap="nowrap">
          <TextInput
            size="xs"
            flex={1}
            maw={360}
            aria-label="Search the log"
            placeholder="Search the log"
            leftSection={<IconSearch size={14} />}
            value={query}
            onChange={(event) => setQuery(event.currentTarget.value)}
            onKeyDown={onKeyDown}
          />
          <ActionIcon
            variant="default"
            size={30}
            aria-label="Previous match"
            disabled={!search.hits || search.hits.at === 0}
            onClick={() => void search.step(-1)}
          >
            <IconChevronUp size={15} />
          </ActionIcon>
          <ActionIcon
            variant="default"
            size={30}
            aria-label="Next match"
            type="submit"
            disabled={!query.trim()}
          >
            <IconChevronDown size={15} />
          </ActionIcon>
          <Text size="xs" c="dimmed" className="numbers" role="status" data-testid="log-hits">
            {search.hits ? hitsText(search.hits) : ""}
          </Text>
        </Group>
      </form>
      {trouble ? (
        <Text size="sm" c="dimmed" mb="xs" role="status">
          {trouble.message} {"nextStep" in trouble ? String(trouble.nextStep) : ""}
        </Text>
      ) : null}
      <pre
        className="log"
        ref={box}
        onScroll={onScroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolled by keys
        tabIndex={0}
        style={{ height: "60vh" }}
        data-testid="log"
      >
        {log?.pieces.map((piece) => (
          <Piece key={piece.start} piece={piece} hit={hit} />
        ))}
        {log && endOf(log) === 0 && !error ? "The log is empty." : null}
      </pre>
    </Panel>
  );
}

/** The current match, always the first line of its piece. */
function Piece({ piece, hit }: { piece: LogPiece; hit: number | undefined }) {
  if (piece.start !== hit) return <span>{piece.text}</span>;
  const end = piece.text.indexOf("\n");
  const line = end === -1 ? piece.text : piece.text.slice(0, end);
  return (
    <span>
      <mark data-testid="log-hit">{line}</mark>
      {piece.text.slice(line.length)}
    </span>
  );
}

/** Follows the end, scrolls a new match into view, and keeps the scroll position when text is inserted above. */
function useLogScroll(pieces: LogPiece[] | undefined, isFollowing: boolean, hit: number | undefined) {
  const box = useRef<HTMLPreElement>(null);
  const before = useRef({ start: 0, height: 0, hit });
  useLayoutEffect(() => {
    const pre = box.current;
    if (!pre) return;
    const start = pieces?.[0]?.start ?? 0;
    const old = before.current;
    const mark = pre.querySelector("mark");
    if (isFollowing) pre.scrollTop = pre.scrollHeight;
    else if (mark && hit !== old.hit) mark.scrollIntoView({ block: "center" });
    else if (start < old.start) pre.scrollTop += pre.scrollHeight - old.height;
    before.current = { start, height: pre.scrollHeight, hit: mark || hit === undefined ? hit : old.hit };
  }, [pieces, isFollowing, hit]);
  return box;
}

function place(start: number, end: number, size: number): string {
  if (start === 0 && end >= size) return bytes(size);
  return `${bytes(start)} to ${bytes(end)} of ${bytes(size)}; scroll for more.`;
}
