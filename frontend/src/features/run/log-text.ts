import type { LogPart } from "@/api/types";

/** Older text is let go: the whole file can be downloaded. */
const mostCharacters = 400_000;

export interface LogState {
  attempt: number;
  text: string;
  start: number;
  next: number;
  size: number;
}

/** What was shown and what has come since. Another attempt has another file. */
export function joinLog(state: LogState | null, part: LogPart): LogState {
  if (!state || state.attempt !== part.attempt || part.offset !== state.next) {
    return {
      attempt: part.attempt,
      text: part.text,
      start: part.offset,
      next: part.next_offset,
      size: part.size,
    };
  }
  const text = (state.text + part.text).slice(-mostCharacters);
  return { ...state, text, next: part.next_offset, size: part.size };
}
