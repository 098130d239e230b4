import { ActionIcon, Button, Group, Slider, Tooltip } from "@mantine/core";
import {
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerSkipBack,
  IconPlayerSkipForward,
} from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import type { ModuleFrame } from "@/api/packed";
import { nextPruning } from "./frames";

const playMs = 220;
const mostMarks = 60;

interface StepPlayerProps {
  frames: readonly ModuleFrame[];
  index: number;
  isFollowing: boolean;
  onGo: (index: number) => void;
  onFollow: () => void;
}

/** Moves through the snapshots: by hand, from pruning to pruning, as a film, or along with the run. */
export function StepPlayer({ frames, index, isFollowing, onGo, onFollow }: StepPlayerProps) {
  const [isPlaying, setPlaying] = useState(false);
  const last = frames.length - 1;
  const place = useRef({ index, last, onGo });
  place.current = { index, last, onGo };

  useEffect(() => {
    if (!isPlaying) return;
    const timer = setInterval(() => {
      const now = place.current;
      if (now.index >= now.last) setPlaying(false);
      else now.onGo(now.index + 1);
    }, playMs);
    return () => clearInterval(timer);
  }, [isPlaying]);

  const togglePlay = () => {
    if (!isPlaying && index >= last) onGo(0);
    setPlaying(!isPlaying);
  };
  const byHand = (to: number) => {
    setPlaying(false);
    onGo(to);
  };
  const prunings = frames.flatMap((frame, at) => (frame.pruning ? [{ value: at }] : []));
  const stepOf = (at: number) => `step ${frames[at]?.step ?? 0}`;

  return (
    <Group gap="xs" wrap="nowrap" mt="xs" align="center">
      <Tooltip label={isPlaying ? "Pause" : "Play"}>
        <ActionIcon
          variant="default"
          size={30}
          aria-label={isPlaying ? "Pause" : "Play"}
          onClick={togglePlay}
          disabled={last < 1}
        >
          {isPlaying ? <IconPlayerPause size={15} /> : <IconPlayerPlay size={15} />}
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Pruning before">
        <ActionIcon
          variant="default"
          size={30}
          aria-label="To the pruning before"
          onClick={() => byHand(nextPruning(frames, index, -1))}
          disabled={index <= 0}
        >
          <IconPlayerSkipBack size={15} />
        </ActionIcon>
      </Tooltip>
      <Slider
        data-testid="step-slider"
        style={{ flex: 1, minWidth: 60 }}
        size={4}
        thumbSize={16}
        min={0}
        max={Math.max(1, last)}
        disabled={last < 1}
        value={Math.max(0, index)}
        onChange={byHand}
        label={stepOf}
        marks={prunings.length <= mostMarks ? prunings : []}
        thumbLabel="Snapshot"
        thumbProps={{ "aria-valuetext": stepOf(index) } as never}
      />
      <Tooltip label="Pruning after">
        <ActionIcon
          variant="default"
          size={30}
          aria-label="To the pruning after"
          onClick={() => byHand(nextPruning(frames, index, 1))}
          disabled={index >= last}
        >
          <IconPlayerSkipForward size={15} />
        </ActionIcon>
      </Tooltip>
      <Button
        size="compact-sm"
        variant={isFollowing && !isPlaying ? "light" : "default"}
        aria-pressed={isFollowing}
        h={30}
        onClick={() => {
          setPlaying(false);
          onFollow();
        }}
      >
        Now
      </Button>
    </Group>
  );
}
