"""Keeps the log of a child from filling the disk: the middle of a log above the limit is cut out."""

import os
from pathlib import Path

MOST_BYTES = 64 << 20
_KEPT = 1 << 20


def bound_log(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Cuts a log above `most_bytes` to its first and last MiB (or a quarter each if that is less), and notes it in the log.

    The child must have opened it for appending: it goes on writing at the new end. What it writes within the moment of
    the cut may be lost.
    """
    try:
        if path.is_symlink() or path.stat().st_size <= most_bytes:
            return
        with path.open("r+b") as file:
            kept = min(_KEPT, most_bytes // 4)
            head = file.read(kept)
            head = head[: head.rfind(b"\n") + 1] or head
            size = file.seek(0, os.SEEK_END)
            file.seek(size - kept)
            tail = file.read()
            tail = tail[tail.find(b"\n") + 1 :]
            left_out = size - len(head) - len(tail)
            file.truncate(len(head))
        with path.open("ab") as file:
            file.write(
                f"\n[{left_out:,} bytes of this log were cut out here: it was longer than {most_bytes:,}]\n".encode()
                + tail
            )
    except OSError:
        return  # the disk is full, or the file is gone: nothing that a supervisor should end for
