"""Searches a log file block by block, so a log of any length needs the memory of one block."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 1024 * 1024
LINE_BYTES = 2000
"""If a line is longer, only the part around the match is returned. The searched text may not be longer."""

Find = Callable[[bytes, int], int]
"""Finds the text in bytes whose ASCII letters are lower case, from a position on; -1 if it is not there."""


@dataclass(frozen=True)
class Found:
    """Lines with the byte offsets of their starts, where to continue (None at the end), and the file's size in bytes."""

    lines: list[tuple[int, str]]
    next_from: int | None
    size: int


def search(path: Path, text: str, *, start: int, limit: int, is_growing: bool, block_bytes: int = BLOCK_BYTES) -> Found:
    """The first `limit` lines from byte `start` on that contain `text`, ignoring case.

    While the file grows, its unfinished last line is not included.
    """
    find = _finder(text)
    lines: list[tuple[int, str]] = []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        offset = line_at = file.seek(min(start, size))
        buffer, is_reported = b"", False  # is_reported: whether the line at `line_at` has been reported
        while True:
            buffer += file.read(min(block_bytes, size - offset - len(buffer)))
            is_last = offset + len(buffer) >= size
            folded, at = buffer.lower(), 0
            while True:
                if is_reported:
                    if (end := buffer.find(b"\n", at)) < 0:
                        break
                    at, line_at, is_reported = end + 1, offset + end + 1, False
                    if len(lines) == limit:
                        return Found(lines, line_at if line_at < size else None, size)
                if (match := find(folded, at)) < 0:
                    break
                if (before := buffer.rfind(b"\n", at, match) + 1) > 0:
                    at, line_at = before, offset + before
                end = buffer.find(b"\n", match)
                if end < 0 and (is_growing if is_last else len(buffer) - at < LINE_BYTES):
                    break
                lines.append((line_at, _shown(buffer[at : end if end >= 0 else None], match - at)))
                is_reported = True
            if is_last:
                return Found(lines, None, size)
            begin = 0 if is_reported else buffer.rfind(b"\n") + 1
            if begin:
                line_at = offset + begin
            # Keep the end of an unfinished line, so that text across the block border is found.
            kept_from = max(begin, len(buffer) - LINE_BYTES)
            offset, buffer = offset + kept_from, buffer[kept_from:]


def _finder(text: str) -> Find:
    if text.isascii():
        needle = text.lower().encode()
        return lambda folded, at: folded.find(needle, at)
    pattern = re.compile(b"".join(_either_case(letter) for letter in text))

    def find(folded: bytes, at: int) -> int:
        match = pattern.search(folded, at)
        return -1 if match is None else match.start()

    return find


def _either_case(letter: str) -> bytes:
    if letter.isascii():
        return re.escape(letter.lower().encode())
    return b"(?:" + b"|".join(re.escape(form.encode()) for form in {letter, letter.lower(), letter.upper()}) + b")"


def _shown(line: bytes, match: int) -> str:
    if len(line) > LINE_BYTES:
        begin = max(0, min(match - LINE_BYTES // 2, len(line) - LINE_BYTES))
        line = line[begin : begin + LINE_BYTES]
    return line.decode("utf-8", "replace").rstrip("\r")
