import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { healthQuery } from "@/api/queries";

/** The server's time in seconds, ticking: ages are right even if the viewer's clock is wrong. */
export function useServerNow(everyMs = 1000): number {
  const health = useQuery(healthQuery);
  const offset = health.data ? health.data.time - health.dataUpdatedAt / 1000 : 0;
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now + offset;
}
