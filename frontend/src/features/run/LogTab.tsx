import { Anchor, Group, Switch, Text } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { http, unwrap } from "@/api/client";
import type { LogPart, RunStatus } from "@/api/types";
import { bytes } from "@/components/format";
import { Panel } from "@/components/Panel";
import { joinLog, type LogState } from "./log-text";

const pollMs = 1500;
export function LogTab({ id, status }: { id: string; status: RunStatus }) {
  const [log, setLog] = useState<LogState | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const isOver = status === "done" || status === "stopped" || status === "failed";

  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let state: LogState | null = null;
    const read = async () => {
      let hasMore = false;
      try {
        const part: LogPart = await unwrap(
          http.GET("/api/v1/runs/{run_id}/log", {
            signal: controller.signal,
            params: { path: { run_id: id }, query: { offset: state?.next ?? -1 } },
          }),
        );
        const isOther = state !== null && state.attempt !== part.attempt;
        state = isOther ? null : joinLog(state, part);
        hasMore = isOther || (part.next_offset < part.size && part.text !== "");
        setLog(state);
        setError(null);
      } catch (cause) {
        if (controller.signal.aborted) return;
        setError(cause as Error);
      }
      if (hasMore) void read();
      else if (!isOver) timer = setTimeout(read, pollMs);
    };
    void read();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [id, isOver]);

  useEffect(() => {
    if (isFollowing && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [log?.text, isFollowing]);

  const onScroll = () => {
    const pre = box.current;
    if (pre) setFollowing(pre.scrollHeight - pre.scrollTop - pre.clientHeight < 24);
  };

  return (
    <Panel
      title={log ? `Log of attempt ${log.attempt}` : "Log"}
      note={
        log && log.start > 0 ? `The last ${bytes(log.size - log.start)} of ${bytes(log.size)}.` : undefined
      }
      actions={
        <Group gap="md">
          <Switch
            size="xs"
            label="Follow"
            checked={isFollowing}
            onChange={(event) => setFollowing(event.currentTarget.checked)}
          />
          <Anchor size="sm" href={`/api/v1/runs/${encodeURIComponent(id)}/log/download`} download>
            Download
          </Anchor>
        </Group>
      }
    >
      {error ? (
        <Text size="sm" c="dimmed" mb="xs" role="status">
          {error.message} {"nextStep" in error ? String(error.nextStep) : ""}
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
        {log?.text || (error ? "" : "Nothing has been written yet.")}
      </pre>
    </Panel>
  );
}
