"""Limits the size of a log: removes the middle of a log above the limit."""

import os
from pathlib import Path

MAX_BYTES = 64 << 20
_KEPT = 1 << 20


def bound_log(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Reduces a log above `max_bytes` to its first and last MiB (or a quarter each if that is less), with a note in the log.

    The child must have opened it for appending: it continues at the new end. What it writes during the removal may
    be lost.
    """
    try:
        if path.is_symlink() or path.stat().st_size <= max_bytes:
            return
        with path.open("r+b") as file:
            kept = min(_KEPT, max_bytes // 4)
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
                f"\n[{left_out:,} bytes were removed from this log, which exceeded {max_bytes:,} bytes]\n".encode()
                + tail
            )
    except OSError:
        return  # the disk is full or the file was deleted: no reason to end the supervisor
