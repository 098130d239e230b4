import type { KeyboardEvent } from "react";
import type { Snapshot } from "@/api/snapshots";
import { nextPruning } from "./snapshot-index";

/** Index that a key leads to: arrows to the next pruning, with Shift to the next snapshot; null for other keys. */
export function steppedTo(
  event: Pick<KeyboardEvent, "key" | "shiftKey">,
  snapshots: readonly Pick<Snapshot, "step" | "pruning">[],
  index: number,
): number | null {
  const last = snapshots.length - 1;
  const move = (direction: 1 | -1) =>
    event.shiftKey
      ? Math.min(last, Math.max(0, index + direction))
      : nextPruning(snapshots, index, direction);
  switch (event.key) {
    case "ArrowLeft":
      return move(-1);
    case "ArrowRight":
      return move(1);
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}
