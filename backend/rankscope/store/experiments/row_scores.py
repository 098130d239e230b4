"""The packed form of one number per evaluation row: float32, little-endian, compressed by zlib.

20,000 rows of right and wrong take about 3 kB.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 5_000_000


def pack(scores: Sequence[float]) -> bytes:
    if len(scores) > MAX_ROWS:
        raise ValueError(f"{len(scores):,} rows; at most {MAX_ROWS:,} can be stored.")
    return zlib.compress(np.asarray(scores, dtype="<f4").tobytes())


def unpack(packed: bytes) -> NDArray[np.float32]:
    """Returns the scores; at most MAX_ROWS of them, whatever the bytes expand to."""
    raw = zlib.decompressobj().decompress(packed, 4 * MAX_ROWS)
    return np.frombuffer(raw[: len(raw) // 4 * 4], dtype="<f4")
