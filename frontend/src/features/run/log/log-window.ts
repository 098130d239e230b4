import type { LogPart } from "@/api/types";

/** About the size of a part of the API. Smaller parts are joined, so that a tail does not become thousands of pieces. */
const partCharacters = 64 * 1024;
/** Most pieces in the window: those that scroll far away are dropped and read again when needed. */
export const mostParts = 10;

/** Text of the file's bytes `start`..`end`; both are at line ends. */
export interface LogPiece {
  start: number;
  end: number;
  text: string;
}

/** The part of a log that the page holds: consecutive pieces of one attempt's file. */
export interface LogWindow {
  attempt: number;
  pieces: LogPiece[];
  /** Size of the file in bytes. */
  size: number;
}

export const startOf = (log: LogWindow): number => log.pieces[0]?.start ?? 0;
export const endOf = (log: LogWindow): number => log.pieces.at(-1)?.end ?? 0;

const pieceOf = (part: LogPart): LogPiece => ({ start: part.offset, end: part.next_offset, text: part.text });

export const windowOf = (part: LogPart): LogWindow => ({
  attempt: part.attempt,
  pieces: [pieceOf(part)],
  size: part.size,
});

/** The window with a part appended. A part that does not follow, or is of another attempt, starts a new window. */
export function joinAfter(log: LogWindow | null, part: LogPart): LogWindow {
  if (!log || log.attempt !== part.attempt || part.offset !== endOf(log)) return windowOf(part);
  if (part.text === "") return log.size === part.size ? log : { ...log, size: part.size };
  const last = log.pieces.at(-1);
  const isSmall = last && last.text.length + part.text.length <= partCharacters;
  const pieces = isSmall
    ? [...log.pieces.slice(0, -1), { start: last.start, end: part.next_offset, text: last.text + part.text }]
    : [...log.pieces, pieceOf(part)].slice(-mostParts);
  return { ...log, pieces, size: part.size };
}

/** The window with a part prepended; `part` starts anywhere, so its first, incomplete line is dropped. */
export function joinBefore(log: LogWindow, part: LogPart): LogWindow {
  if (log.attempt !== part.attempt || part.next_offset < startOf(log)) return log;
  const piece = part.offset === 0 ? pieceOf(part) : withoutFirstLine(pieceOf(part));
  if (piece.text === "" || piece.end !== startOf(log)) return log;
  return { ...log, pieces: [piece, ...log.pieces].slice(0, mostParts) };
}

function withoutFirstLine(piece: LogPiece): LogPiece {
  const cut = piece.text.indexOf("\n") + 1;
  const bytes = new TextEncoder().encode(piece.text.slice(0, cut)).length;
  return { start: piece.start + bytes, end: piece.end, text: piece.text.slice(cut) };
}
