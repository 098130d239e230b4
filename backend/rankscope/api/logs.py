"""Parts of a log file, cut at line ends."""

from dataclasses import dataclass
from pathlib import Path

PART_BYTES = 64 * 1024


@dataclass(frozen=True)
class TextPart:
    text: str
    offset: int
    next_offset: int
    size: int


def read_part(path: Path, offset: int, *, is_growing: bool) -> TextPart:
    """At most 64 KiB from byte `offset` on (-1: the last 64 KiB).

    Ends at a line end, so that lines and characters are never split; while the file grows, its unfinished last
    line is held back. A single line that is longer than a part is cut.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        is_tail = offset < 0
        start = max(0, size - PART_BYTES) if is_tail else min(offset, size)
        file.seek(start)
        data = file.read(min(PART_BYTES, size - start))
    if is_tail and start > 0:
        skipped = data.find(b"\n") + 1
        start, data = start + skipped, data[skipped:]
    is_at_end = start + len(data) == size
    if is_growing or not is_at_end:
        data = _whole_lines(data, must_advance=not is_at_end)
    return TextPart(data.decode("utf-8", "replace"), start, start + len(data), size)


def _whole_lines(data: bytes, *, must_advance: bool) -> bytes:
    end = data.rfind(b"\n") + 1
    if end or not must_advance:
        return data[:end]
    # One endless line: cut it, but not within a character (UTF-8 continuation bytes are 10xxxxxx).
    end = len(data)
    while end > len(data) - 4 and data[end - 1] & 0xC0 == 0x80:
        end -= 1
    return data[: end - 1] if data[end - 1] >= 0xC0 else data
