"""Rank snapshots in columns: what a packed snapshot says of its modules, for many snapshots at once."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Frames = Sequence[dict[str, Any]]
"""Stored ranks events, all of the same number of modules and width."""


@dataclass(frozen=True)
class ModuleColumns:
    """`ranks` uint16 (frames, modules); `mean`, `max` float16 (frames, modules): importance of the live components.

    NaN where the score of a live one is NaN; 0 at rank 0.
    """

    ranks: npt.NDArray[np.uint16]
    mean: npt.NDArray[np.float16]
    max: npt.NDArray[np.float16]


def module_columns(frames: Frames, modules: int, width: int) -> ModuleColumns:
    live = _live(frames, modules, width)
    scores = _scores(frames, "scores", modules, width).astype(np.float32)
    ranks = live.sum(axis=2, dtype=np.uint16)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.where(live, scores, np.float32(0)).sum(axis=2) / np.maximum(ranks, 1)
        high = np.where(live, scores, np.float32(-np.inf)).max(axis=2, initial=-np.inf)
        return ModuleColumns(ranks, mean.astype("<f2"), np.where(ranks > 0, high, 0).astype("<f2"))


@dataclass(frozen=True)
class ComponentColumns:
    """Of one module: `live` bool (frames, width), `scores` and `raw_scores` float16 (frames, width)."""

    live: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float16]
    raw_scores: npt.NDArray[np.float16] | None
    """NaN in snapshots without; None when no snapshot has any."""


def component_columns(frames: Frames, modules: int, width: int, module: int) -> ComponentColumns:
    raw = None
    if any("raw_scores" in frame for frame in frames):
        raw = np.full((len(frames), width), np.nan, "<f2")
        there = [index for index, frame in enumerate(frames) if "raw_scores" in frame]
        raw[there] = _scores([frames[index] for index in there], "raw_scores", modules, width)[:, module]
    return ComponentColumns(
        _live(frames, modules, width)[:, module], _scores(frames, "scores", modules, width)[:, module], raw
    )


def _live(frames: Frames, modules: int, width: int) -> npt.NDArray[np.bool_]:
    packed = np.frombuffer(b"".join(base64.b64decode(frame["mask"]) for frame in frames), np.uint8)
    bits = np.unpackbits(
        packed.reshape(len(frames), -(-modules * width // 8)), axis=1, count=modules * width, bitorder="little"
    )
    return bits.view(np.bool_).reshape(len(frames), modules, width)


def _scores(frames: Frames, column: str, modules: int, width: int) -> npt.NDArray[np.float16]:
    packed = b"".join(base64.b64decode(frame[column]) for frame in frames)
    return np.frombuffer(packed, "<f2").reshape(len(frames), modules, width)
