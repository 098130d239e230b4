"""Rank snapshots as columns: the values of every module, for many snapshots at once."""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rankscope.contract.stored import StoredRanks
from rankscope.store.history.snapshots import LiveMask

Frames = Sequence[StoredRanks]
"""Stored ranks events with the same number of modules and the same width."""


@dataclass(frozen=True)
class ModuleColumns:
    """`ranks` uint16 (frames, modules); `mean`, `max` float16 (frames, modules): importance of the live components.

    NaN if the score of a live component is NaN; 0 at rank 0.
    """

    ranks: npt.NDArray[np.uint16]
    mean: npt.NDArray[np.float16]
    max: npt.NDArray[np.float16]


def module_columns(frames: Frames, modules: int, width: int) -> ModuleColumns:
    live = _live(frames, modules, width)
    scores = _scores([frame["scores"] for frame in frames], modules, width).astype(np.float32)
    ranks = live.sum(axis=2, dtype=np.uint16)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.where(live, scores, np.float32(0)).sum(axis=2) / np.maximum(ranks, 1)
        high = np.where(live, scores, np.float32(-np.inf)).max(axis=2, initial=-np.inf)
        return ModuleColumns(ranks, mean.astype("<f2"), np.where(ranks > 0, high, 0).astype("<f2"))


def module_ranks(frames: Sequence[StoredRanks | LiveMask], modules: int, width: int) -> npt.NDArray[np.uint16]:
    """uint16 (frames, modules), without reading the scores."""
    ranks: npt.NDArray[np.uint16] = _live(frames, modules, width).sum(axis=2, dtype=np.uint16)
    return ranks


@dataclass(frozen=True)
class ComponentColumns:
    """Of one module: `live` bool (frames, width), `scores` and `raw_scores` float16 (frames, width)."""

    live: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float16]
    raw_scores: npt.NDArray[np.float16] | None
    """NaN in snapshots without raw scores; None if no snapshot has any."""


def component_columns(frames: Frames, modules: int, width: int, module: int) -> ComponentColumns:
    raw = None
    packed = {index: frame["raw_scores"] for index, frame in enumerate(frames) if "raw_scores" in frame}
    if packed:
        raw = np.full((len(frames), width), np.nan, "<f2")
        raw[list(packed)] = _scores(packed.values(), modules, width)[:, module]
    return ComponentColumns(
        _live(frames, modules, width)[:, module],
        _scores([frame["scores"] for frame in frames], modules, width)[:, module],
        raw,
    )


def _live(frames: Sequence[StoredRanks | LiveMask], modules: int, width: int) -> npt.NDArray[np.bool_]:
    packed = np.frombuffer(b"".join(base64.b64decode(frame["mask"]) for frame in frames), np.uint8)
    bits = np.unpackbits(
        packed.reshape(len(frames), -(-modules * width // 8)), axis=1, count=modules * width, bitorder="little"
    )
    return bits.view(np.bool_).reshape(len(frames), modules, width)


def _scores(packed: Collection[str], modules: int, width: int) -> npt.NDArray[np.float16]:
    joined = b"".join(map(base64.b64decode, packed))
    return np.frombuffer(joined, "<f2").reshape(len(packed), modules, width)
