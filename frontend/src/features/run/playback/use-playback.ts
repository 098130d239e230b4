import { useEffect, useRef, useState } from "react";

/** Snapshots a second at speed 1. */
const snapshotsPerSecond = 5;

export const speeds = ["0.5", "1", "2", "4", "8"] as const;

/** Index of the snapshot `elapsed` milliseconds after playback started at `from`; slow drawing skips some. */
export const playedTo = (from: number, elapsed: number, speed: number, last: number): number =>
  Math.min(last, from + Math.floor((Math.max(0, elapsed) / 1000) * snapshotsPerSecond * speed));

export interface Playback {
  isPlaying: boolean;
  speed: string;
  setSpeed: (speed: string) => void;
  /** Starts from the beginning if it is at the end. */
  toggle: () => void;
  stop: () => void;
}

interface PlaybackOptions {
  index: number;
  last: number;
  onShow: (index: number) => void;
}

/** Plays by the clock, not by frames: if drawing is slow, snapshots are skipped. */
export function usePlayback({ index, last, onShow }: PlaybackOptions): Playback {
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState("1");
  const present = useRef({ index, last, onShow });
  present.current = { index, last, onShow };

  useEffect(() => {
    if (!isPlaying) return;
    const from = present.current.index;
    const begun = performance.now();
    let shown = from;
    let request = requestAnimationFrame(function tick(now) {
      const { last: end, onShow: show } = present.current;
      const to = playedTo(from, now - begun, Number(speed), end);
      if (to > shown) show(to);
      shown = to;
      if (to >= end) setPlaying(false);
      else request = requestAnimationFrame(tick);
    });
    return () => cancelAnimationFrame(request);
  }, [isPlaying, speed]);

  return {
    isPlaying,
    speed,
    setSpeed,
    toggle: () => {
      if (!isPlaying && index >= last) onShow(0);
      setPlaying(!isPlaying);
    },
    stop: () => setPlaying(false),
  };
}
