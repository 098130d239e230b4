import { type ComponentType, useEffect, useState } from "react";

const afterMs = 5_000;

/**
 * A component that the first paint does without. Its code is loaded once it is wanted, or a few seconds later, so that it
 * is there if the server becomes unreachable. Returns null until then. If the server was upgraded meanwhile and no longer
 * has the code, it remains null, and what is on the page stays (`lazyPart` would replace it with an error): the link banner
 * offers to reload. `load` must always be the same function and use `loadPart`.
 */
export function useLaterPart<P>(load: () => Promise<ComponentType<P>>, isWanted: boolean) {
  const [Part, setPart] = useState<ComponentType<P> | null>(null);
  const [isLater, setIsLater] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsLater(true), afterMs);
    return () => clearTimeout(timer);
  }, []);
  const isLoading = Part === null && (isWanted || isLater);
  useEffect(() => {
    if (!isLoading) return;
    let isGone = false;
    load().then(
      (part) => {
        if (!isGone) setPart(() => part);
      },
      () => {},
    );
    return () => {
      isGone = true;
    };
  }, [load, isLoading]);
  return Part;
}
