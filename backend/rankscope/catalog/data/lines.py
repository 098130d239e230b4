"""Decoded lines of a data file, with bounded length."""

import io
from codecs import getincrementaldecoder
from collections.abc import Iterator
from pathlib import Path

from rankscope.catalog.data.files import BrokenFile, HashedFile, opened

_LONGEST_LINE = 1 << 25
_MOST_PARTS = 1_000_000
"""Separators in one line: a parser makes an object of each part, which takes twenty times the line's memory."""
SAVE_AS_UTF8 = "Save the file as UTF-8."


class Lines:
    """Decoded lines of bounded length."""

    def __init__(self, file: HashedFile, path: Path, codec: str, newline: str | None, errors: str = "strict") -> None:
        self._path, self._codec = path, codec
        # Decoding is strict after the BOM. The file is closed only by the code that opened it.
        self._text = io.TextIOWrapper(io.BufferedReader(file, 1 << 18), encoding=codec, errors=errors, newline=newline)
        self._readline = self._text.readline
        self.number = 0
        self.separator = ","
        self.is_at_end = False

    def __iter__(self) -> Iterator[str]:
        while True:
            self.number += 1
            try:
                line = self._readline(_LONGEST_LINE)
            except UnicodeError as error:
                raise self._not_decodable() from error
            if not line:
                self.is_at_end = True
                return
            if "\0" in line:
                raise BrokenFile(
                    f"Line {self.number} has a NUL character: the file is damaged, or not text.",
                    "Copy or export it again.",
                )
            if len(line) == _LONGEST_LINE:
                raise BrokenFile(
                    f"Line {self.number} is longer than {_LONGEST_LINE >> 20} million characters.",
                    "Write one row per line, and split long texts.",
                )
            if len(line) > _MOST_PARTS and line.count(self.separator) > _MOST_PARTS:
                raise BrokenFile(
                    f"Line {self.number} has more than a million separators ({self.separator!r}).",
                    "Check that it is one row, and split it.",
                )
            yield line

    def _not_decodable(self) -> BrokenFile:
        """Reads the file again to find the position."""
        decoder = getincrementaldecoder(self._codec)()
        line, offset = 1, 0
        with opened(self._path) as file:
            while block := file.read(1 << 16):
                try:
                    text = decoder.decode(block)
                except UnicodeDecodeError as error:
                    # `error.object` may begin with bytes left over from the previous block.
                    good = error.object[: error.start]
                    where = offset + len(block) - len(error.object) + error.start
                    line += good.count(b"\n") if self._codec.startswith("utf-8") else 0
                    at = f"line {line}, " if self._codec.startswith("utf-8") else ""
                    byte = error.object[error.start]
                    return BrokenFile(
                        f"It is not {self._codec[:6].upper().rstrip('-')}: {at}byte {where + 1} of the file is 0x{byte:02X}.",
                        SAVE_AS_UTF8,
                    )
                line += text.count("\n")
                offset += len(block)
        return BrokenFile("It ends in the middle of a character.", "Copy the file again.")


def check_bytes(head: bytes) -> None:
    """Raises BrokenFile for NUL bytes. If every second byte is NUL, the file is UTF-16 without a byte order mark."""
    nuls = head.count(b"\0")
    if nuls and max(head[::2].count(b"\0"), head[1::2].count(b"\0")) > 0.4 * len(head) / 2 and nuls < 0.6 * len(head):
        raise BrokenFile("It appears to be UTF-16 without a byte order mark.", SAVE_AS_UTF8)
    if nuls:
        raise BrokenFile(
            f"Line {head[: head.index(0)].count(10) + 1} has a NUL byte: the file is damaged, or not text.",
            "Copy or export it again.",
        )
