import type { RunStatus } from "./types";

const active: readonly RunStatus[] = ["starting", "running", "stopping"];

/** A process trains the run, so its numbers still change. */
export const isActive = (status: RunStatus): boolean => active.includes(status);
