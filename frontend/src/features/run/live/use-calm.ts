import { useEffect, useRef, useState } from "react";
import { DrawingRest } from "./drawing-rest";

const longestRestMs = 4000;

/** The value, renewed at most once every `restMs`, less often where drawing it takes long; 0: at once. */
export function useCalm<T>(value: T, restMs: number): T {
  const [calm, setCalm] = useState(value);
  const [rest] = useState(() => new DrawingRest(longestRestMs));
  const renewedAt = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    if (Object.is(value, calm)) return;
    const renew = () => {
      renewedAt.current = performance.now();
      setCalm(() => value);
      rest.measure();
    };
    const waitsMs = restMs === 0 ? 0 : rest.atLeast(restMs);
    const timer = setTimeout(renew, Math.max(0, renewedAt.current + waitsMs - performance.now()));
    return () => clearTimeout(timer);
  }, [value, calm, restMs, rest]);
  return restMs === 0 ? value : calm;
}
