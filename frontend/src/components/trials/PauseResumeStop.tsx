import { Button } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop } from "@tabler/icons-react";
import { useState } from "react";
import { Confirm } from "@/components/feedback/Confirm";

export type SteerAction = "pause" | "resume" | "stop";

interface PauseResumeStopProps {
  state: "running" | "paused" | "stopped" | "other";
  /** "sweep" or "experiment". */
  noun: string;
  /** The action in progress. */
  busy: SteerAction | null;
  onAct: (action: SteerAction) => void;
  /** What a stop does, shown before it is done. */
  stopping: string;
}

/** The buttons that the state allows. Stopping ends trainings, so it needs confirmation. */
export function PauseResumeStop({ state, noun, busy, onAct, stopping }: PauseResumeStopProps) {
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      {state === "running" ? (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlayerPause size={14} />}
          loading={busy === "pause"}
          onClick={() => onAct("pause")}
        >
          Pause
        </Button>
      ) : null}
      {state === "paused" || state === "stopped" ? (
        <Button
          size="xs"
          leftSection={<IconPlayerPlay size={14} />}
          loading={busy === "resume"}
          onClick={() => onAct("resume")}
        >
          Resume
        </Button>
      ) : null}
      {state === "running" || state === "paused" ? (
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlayerStop size={14} />}
          loading={busy === "stop"}
          onClick={() => setAsking(true)}
        >
          Stop
        </Button>
      ) : null}
      <Confirm
        opened={isAsking}
        title={`Stop this ${noun}?`}
        action="Stop"
        onClose={() => setAsking(false)}
        onConfirm={() => {
          setAsking(false);
          onAct("stop");
        }}
      >
        {stopping}
      </Confirm>
    </>
  );
}
