import { useEffect, useRef, useState } from "react";
import { DrawingRest } from "./drawing-rest";

const longestRestMs = 4000;

/** The value, updated at most once every `restMs`, less often where drawing it is slow; 0: immediately. */
export function useCalm<T>(value: T, restMs: number): T {
  const [calm, setCalm] = useState(value);
  const [rest] = useState(() => new DrawingRest(longestRestMs));
  const updatedAt = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    if (Object.is(value, calm)) return;
    const update = () => {
      updatedAt.current = performance.now();
      setCalm(() => value);
      rest.measure();
    };
    const waitsMs = restMs === 0 ? 0 : rest.atLeast(restMs);
    const timer = setTimeout(update, Math.max(0, updatedAt.current + waitsMs - performance.now()));
    return () => clearTimeout(timer);
  }, [value, calm, restMs, rest]);
  return restMs === 0 ? value : calm;
}
