"""A metric's points as columns: packing into bytes, reduction for charts, smoothing."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_POINT_BYTES = 4 + 8 + 8
_SMOOTHING_BLOCK = 128


@dataclass(frozen=True)
class Points:
    """`steps` int32 (n,), `times` float64 (n,) in seconds since 1970, `values` float64 (n,)."""

    steps: npt.NDArray[np.int32]
    times: Floats
    values: Floats

    def __len__(self) -> int:
        return len(self.steps)

    def at(self, where: Bools | Indices | slice) -> "Points":
        return Points(self.steps[where], self.times[where], self.values[where])

    def by_step(self) -> "Points":
        """Sorted by step; points with equal steps keep their order."""
        if np.all(self.steps[1:] >= self.steps[:-1]):
            return self
        return self.at(np.argsort(self.steps, kind="stable"))


NONE = Points(np.empty(0, np.int32), np.empty(0), np.empty(0))


def joined(parts: Iterable[Points]) -> Points:
    every = list(parts)
    if len(every) <= 1:
        return every[0] if every else NONE
    return Points(
        np.concatenate([part.steps for part in every]),
        np.concatenate([part.times for part in every]),
        np.concatenate([part.values for part in every]),
    )


def pack(of: Points) -> bytes:
    """The columns one after the other, little-endian: int32[n] steps, float64[n] times, float64[n] values."""
    return of.steps.astype("<i4").tobytes() + of.times.astype("<f8").tobytes() + of.values.astype("<f8").tobytes()


def unpack(packed: bytes) -> Points:
    n = len(packed) // _POINT_BYTES
    return Points(
        np.frombuffer(packed, "<i4", n),
        np.frombuffer(packed, "<f8", n, 4 * n),
        np.frombuffer(packed, "<f8", n, 12 * n),
    )


def marked(values: npt.NDArray[Any]) -> list[float | str]:
    """Converts numbers for JSON: those that are not finite become "NaN", "Infinity" or "-Infinity"."""
    plain: list[float | str] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)):
        plain[index] = mark(float(values[index]))
    return plain


def mark(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def reduced(values: Floats, limit: int) -> Indices:
    """Selects about `limit` points to draw: the first, last, smallest and largest of each bucket, and all that are
    not finite.

    Keeps the shape of the curve and every extreme; omitted points are between kept ones.
    """
    n = len(values)
    if n <= limit or limit < 4:
        return np.arange(n)
    size = -(-n * 4 // limit)
    starts = np.arange(0, n, size)
    is_finite = np.isfinite(values)
    low, high = np.full(len(starts) * size, np.inf), np.full(len(starts) * size, -np.inf)
    low[:n][is_finite] = high[:n][is_finite] = values[is_finite]
    is_kept = ~is_finite
    is_kept[starts] = True
    is_kept[np.minimum(starts + size, n) - 1] = True
    is_kept[starts + low.reshape(-1, size).argmin(axis=1)] = True
    is_kept[starts + high.reshape(-1, size).argmax(axis=1)] = True
    return np.flatnonzero(is_kept)


def smoothed(values: Floats, weight: float) -> Floats:
    """Exponential moving average, bias-corrected: (sum_j w^(i-j) x_j) / (sum_j w^(i-j)) over the finite x_j up to i.

    A point that is not finite has the average before it; NaN before the first finite one. 0 <= weight < 1.
    In blocks: one matrix product each, and one number carried to the next, so that no loop runs over the points.
    """
    is_finite = np.isfinite(values)
    x = values[is_finite]
    if not len(x):
        return np.full(len(values), np.nan)
    size = _SMOOTHING_BLOCK
    lags = np.arange(size)[:, None] - np.arange(size)[None, :]
    kernel = np.where(lags >= 0, (1 - weight) * weight ** np.maximum(lags, 0), 0.0)
    padded = np.zeros(-(-len(x) // size) * size)
    padded[: len(x)] = x
    inner = padded.reshape(-1, size) @ kernel.T
    decay = weight ** np.arange(1, size + 1)
    carried = 0.0
    for row in inner:
        row += decay * carried
        carried = row[-1]
    average = inner.reshape(-1)[: len(x)] / -np.expm1(np.arange(1, len(x) + 1) * math.log(weight)) if weight else x
    place = np.cumsum(is_finite) - 1
    return np.where(place >= 0, average[np.maximum(place, 0)], np.nan)
