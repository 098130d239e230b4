import type { RunStatus } from "./types";

const moving: readonly RunStatus[] = ["starting", "running", "stopping"];

/** A process has the run: numbers still come. */
export const isMoving = (status: RunStatus): boolean => moving.includes(status);
