"""Gzip for endless streams: each part can be decompressed as soon as it arrives."""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

_WINDOW_BITS = 13
"""A window of 8 KiB is enough: names repeat within a few events. A larger one costs memory for each viewer."""
_MEMORY_LEVEL = 5


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header lists gzip with a weight other than 0."""
    for entry in accept_encoding.lower().split(","):
        name, _, parameters = entry.strip().partition(";")
        if name.strip() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def gzipped(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes]:
    """Compresses the parts in one window. Each part is flushed, so that it can be decompressed immediately."""
    # Adding 16 selects gzip's header.
    packer = zlib.compressobj(level=1, wbits=16 + _WINDOW_BITS, memLevel=_MEMORY_LEVEL)
    async with aclosing(parts):
        async for part in parts:
            yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
