"""Gzip for streams that never end: each part can be read as soon as it has arrived."""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

_WINDOW_BITS = 13
"""8 KiB of memory for what came before: names and shapes repeat within a few events. More costs each viewer memory."""
_MEMORY_LEVEL = 5


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header lists gzip, and not with weight 0."""
    for entry in accept_encoding.lower().split(","):
        name, _, parameters = entry.strip().partition(";")
        if name.strip() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def gzipped(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes]:
    """The parts, compressed with the memory of those before; each is flushed, so that it is readable at once."""
    # 16 more: with gzip's header.
    packer = zlib.compressobj(level=1, wbits=16 + _WINDOW_BITS, memLevel=_MEMORY_LEVEL)
    async with aclosing(parts):
        async for part in parts:
            yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
