import type { RunStatus } from "./types";

const active: readonly RunStatus[] = ["starting", "running", "stopping"];

/** A process has the run: numbers still come. */
export const isActive = (status: RunStatus): boolean => active.includes(status);
