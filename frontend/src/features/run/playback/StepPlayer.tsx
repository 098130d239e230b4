import { ActionIcon, Button, Group, NativeSelect, Slider, Text, Tooltip } from "@mantine/core";
import {
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerSkipBack,
  IconPlayerSkipForward,
} from "@tabler/icons-react";
import type { KeyboardEvent, ReactNode } from "react";
import type { Snapshot } from "@/api/snapshots";
import { nextPruning } from "./snapshot-index";
import { steppedTo } from "./step-keys";
import { type Playback, speeds } from "./use-playback";

const mostMarks = 60;

interface StepPlayerProps {
  snapshots: readonly Snapshot[];
  index: number;
  isFollowing: boolean;
  playback: Playback;
  onGo: (index: number) => void;
  onFollow: () => void;
}

/** Moves through the snapshots: one by one, by pruning, by playing them, or following the run. */
export function StepPlayer({ snapshots, index, isFollowing, playback, onGo, onFollow }: StepPlayerProps) {
  const last = snapshots.length - 1;
  const onKeyDownCapture = (event: KeyboardEvent) => {
    // Only keys of the slider: in the select, arrows choose a speed.
    if (!(event.target instanceof HTMLElement) || event.target.getAttribute("role") !== "slider") return;
    const to = steppedTo(event, snapshots, index);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    onGo(to);
  };
  const prunings = snapshots.flatMap((snapshot, at) => (snapshot.pruning ? [{ value: at }] : []));
  const stepOf = (at: number) => `step ${snapshots[at]?.step ?? 0}`;

  return (
    // Captured, because the slider handles the same arrow keys.
    <div className="step-player" onKeyDownCapture={onKeyDownCapture}>
      <Group gap="xs" wrap="nowrap" align="center">
        <PlayerButton
          label={playback.isPlaying ? "Pause" : "Play"}
          onClick={playback.toggle}
          disabled={last < 1}
        >
          {playback.isPlaying ? <IconPlayerPause size={15} /> : <IconPlayerPlay size={15} />}
        </PlayerButton>
        <PlayerButton
          label="Previous pruning"
          onClick={() => onGo(nextPruning(snapshots, index, -1))}
          disabled={index <= 0}
        >
          <IconPlayerSkipBack size={15} />
        </PlayerButton>
        <Slider
          data-testid="step-slider"
          style={{ flex: 1, minWidth: 60 }}
          size={4}
          thumbSize={16}
          min={0}
          max={Math.max(1, last)}
          disabled={last < 1}
          value={Math.max(0, index)}
          onChange={onGo}
          label={stepOf}
          marks={prunings.length <= mostMarks ? prunings : []}
          thumbLabel="Snapshot"
          thumbProps={{ "aria-valuetext": stepOf(index) } as never}
        />
        <PlayerButton
          label="Next pruning"
          onClick={() => onGo(nextPruning(snapshots, index, 1))}
          disabled={index >= last}
        >
          <IconPlayerSkipForward size={15} />
        </PlayerButton>
        <NativeSelect
          size="xs"
          w={66}
          aria-label="Speed"
          value={playback.speed}
          onChange={(event) => playback.setSpeed(event.currentTarget.value)}
          data={speeds.map((value) => ({ value, label: `${value}×` }))}
        />
        <Button
          size="compact-sm"
          variant={isFollowing && !playback.isPlaying ? "light" : "default"}
          aria-pressed={isFollowing}
          h={30}
          style={{ flexShrink: 0 }}
          onClick={onFollow}
        >
          Latest
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mt={4} visibleFrom="sm">
        Keys: ← → previous and next pruning, with Shift previous and next snapshot; Home and End; ↑ ↓ choose a
        module, Enter opens it.
      </Text>
    </div>
  );
}

interface PlayerButtonProps {
  label: string;
  onClick: () => void;
  disabled: boolean;
  children: ReactNode;
}

function PlayerButton({ label, onClick, disabled, children }: PlayerButtonProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="default" size={30} aria-label={label} onClick={onClick} disabled={disabled}>
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
