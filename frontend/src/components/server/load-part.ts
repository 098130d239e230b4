/** Parts of the page's code that come when they are needed first. */
import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import { link } from "@/api/server-link";

const tries = 4;
const pauseMs = 400;

/**
 * Loads a part, whatever happens to the server meanwhile: waits until it answers and tries again.
 * Rejects when it cannot be had from a server that answers: after an upgrade the files have other names.
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

/** `lazy` of React by `loadPart`, of the component that `pick` takes out of the module. */
export const lazyPart = <M, P>(
  load: () => Promise<M>,
  pick: (module: M) => ComponentType<P>,
): LazyExoticComponent<ComponentType<P>> => lazy(async () => ({ default: pick(await loadPart(load)) }));
