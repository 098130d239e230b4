import { useEffect, useRef, useState } from "react";

/** The value, renewed at most once every `restMs`; 0: at once. */
export function useCalm<T>(value: T, restMs: number): T {
  const [calm, setCalm] = useState(value);
  const renewedAt = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    if (Object.is(value, calm)) return;
    const renew = () => {
      renewedAt.current = performance.now();
      setCalm(() => value);
    };
    const timer = setTimeout(renew, Math.max(0, renewedAt.current + restMs - performance.now()));
    return () => clearTimeout(timer);
  }, [value, calm, restMs]);
  return restMs === 0 ? value : calm;
}
