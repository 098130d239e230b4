"""Follows a log: sends its parts as they are written, over one connection."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable

from rankscope.api.shapes.history import LogPart
from rankscope.contract.errors import NotFound

LOOK_S = 1.0
KEEP_ALIVE_S = 15.0
_END = b"event: end\ndata: {}\n\n"
_KEEP_ALIVE = b": still here\n\n"


async def followed(
    read: Callable[[int], tuple[LogPart, bool]], offset: int, is_over: Callable[[], bool]
) -> AsyncGenerator[bytes]:
    """Server-sent LogParts from byte `offset` on (-1: the last 64 KiB), until the log has ended or `is_over()`.

    `read(offset)` returns the part at the offset, and whether its file may still grow. A new attempt has another file, which
    is sent from its start. An `end` event marks the end.
    """
    attempt: int | None = None
    quiet_s = 0.0
    while not is_over():
        try:
            part, is_growing = await asyncio.to_thread(read, offset)
        except NotFound:  # the run was deleted
            yield _END
            return
        is_first, is_other = attempt is None, attempt not in (None, part.attempt)
        attempt = part.attempt
        if is_other:
            offset = 0
            continue
        offset = part.next_offset
        if is_first or part.text:
            yield f"data: {json.dumps(part.model_dump(), ensure_ascii=False)}\n\n".encode()
            quiet_s = 0.0
        if part.text and part.next_offset < part.size:
            continue
        if not is_growing:
            yield _END
            return
        if quiet_s >= KEEP_ALIVE_S:
            yield _KEEP_ALIVE
            quiet_s = 0.0
        await asyncio.sleep(LOOK_S)  # another process writes the log, without a notification
        quiet_s += LOOK_S
