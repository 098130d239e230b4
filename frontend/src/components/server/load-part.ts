/** Loads parts of the page's code on first use. */
import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import { link } from "@/api/server-link";

const tries = 4;
const pauseMs = 400;

/**
 * Loads a part; if the server is unreachable, waits until it answers and tries again.
 * Rejects if a server that answers does not have it: after an upgrade the files have other names.
 */
export async function loadPart<T>(load: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await load();
    } catch (error) {
      await link.whenReachable();
      if (link.get().isUpdated || failures === tries) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs * failures));
    }
  }
}

/** React's `lazy` with `loadPart`, for the component that `pick` selects from the module. */
export const lazyPart = <M, P>(
  load: () => Promise<M>,
  pick: (module: M) => ComponentType<P>,
): LazyExoticComponent<ComponentType<P>> => lazy(async () => ({ default: pick(await loadPart(load)) }));
