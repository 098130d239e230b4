"""Converts a compact adapter to a uniform one: every module zero-padded to the same rank, for readers that need that.

`dynamic_rank.export_lora(layout="uniform")` writes the same from a model. Here, an adapter on disk is padded tensor by
tensor while it is sent, so a large one needs no extra memory or disk space, and old runs work too.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypedDict

Layout = Literal["uniform", "compact"]
WEIGHTS, CONFIG, PATTERN = "adapter_model.safetensors", "adapter_config.json", "rank_pattern.json"
_PREFIX = "base_model.model."
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_CHUNK = 1 << 20


class _Entry(TypedDict):
    """A tensor in a safetensors header."""

    dtype: str
    shape: list[int]
    data_offsets: list[int]


class NotUniform(Exception):
    """The adapter can't be padded; the message says why."""


@dataclass(frozen=True)
class _Tensor:
    """Where a tensor of the compact file is, and its shape in both files."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    padded: tuple[int, ...]
    start: int | None
    """Offset in the file; None for a module at rank 0, which is not in the file."""

    @property
    def size_bytes(self) -> int:
        return math.prod(self.padded) * _item_bytes(self.dtype)


class UniformAdapter:
    """The files of a uniform adapter made from the compact one in `folder`.

    sizes: module name -> (out, in), for the modules at rank 0 that the compact adapter leaves out.
    Raises NotUniform for an adapter that RankScope did not write.
    """

    def __init__(self, folder: Path, sizes: Mapping[str, tuple[int, int]]) -> None:
        self._weights = folder / WEIGHTS
        try:
            self._config: dict[str, object] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            ranks: dict[str, int] = json.loads((folder / PATTERN).read_text(encoding="utf-8"))
            header, data_start = _header(self._weights)
        except (OSError, ValueError, struct.error) as error:
            raise NotUniform(f"its files can't be read ({error})") from error
        self._names = list(ranks)
        self.rank = max(1, *ranks.values())
        self._tensors = list(self._plan(header, data_start, sizes))

    def config(self) -> bytes:
        """adapter_config.json: one rank, one scale of 1, every module by its full name, no patterns."""
        changed = self._config | {
            "r": self.rank,
            "lora_alpha": self.rank,
            "rank_pattern": {},
            "alpha_pattern": {},
            "target_modules": self._names,
        }
        return (json.dumps(changed, indent=2, sort_keys=True) + "\n").encode()

    @property
    def size_bytes(self) -> int:
        """Size of the weights file."""
        return len(self._head()) + sum(tensor.size_bytes for tensor in self._tensors)

    def weights(self) -> Iterator[bytes]:
        """adapter_model.safetensors, about one MiB at a time."""
        yield self._head()
        with self._weights.open("rb") as file:
            for tensor in self._tensors:
                yield from _padded(file, tensor)

    def _head(self) -> bytes:
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor in self._tensors:
            start, end = end, end + tensor.size_bytes
            entries[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.padded, "data_offsets": [start, end]}
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text

    def _plan(
        self, header: Mapping[str, _Entry], data_start: int, sizes: Mapping[str, tuple[int, int]]
    ) -> Iterator[_Tensor]:
        factors = {}
        dtype = "F32"
        for name, entry in header.items():
            shape, start = tuple(entry["shape"]), data_start + entry["data_offsets"][0]
            if not name.endswith((".lora_A.weight", ".lora_B.weight")):
                yield _Tensor(name, entry["dtype"], shape, shape, start)
                continue
            dtype = entry["dtype"]
            is_a = name.endswith(".lora_A.weight")
            rank = shape[0] if is_a else shape[1]
            if len(shape) != 2 or rank > self.rank:
                raise NotUniform(f"{name} has shape {list(shape)}, which does not fit rank {self.rank}")
            padded = (self.rank, shape[1]) if is_a else (shape[0], self.rank)
            factors[name] = _Tensor(name, dtype, shape, padded, start)
        for module in self._names:
            a, b = f"{_PREFIX}{module}.lora_A.weight", f"{_PREFIX}{module}.lora_B.weight"
            if a in factors and b in factors:
                yield factors[a]
                yield factors[b]
            elif module in sizes:
                out, inner = sizes[module]
                yield _Tensor(a, dtype, (0, inner), (self.rank, inner), None)
                yield _Tensor(b, dtype, (out, 0), (out, self.rank), None)
            else:
                raise NotUniform(f"the size of {module}, which ended at rank 0, is unknown")


def _header(path: Path) -> tuple[dict[str, _Entry], int]:
    """The header of a safetensors file written by RankScope's worker, and the offset of its data."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size:
            raise ValueError(f"{path.name} is truncated")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{path.name} has no header")
    header.pop("__metadata__", None)
    return header, 8 + length


def _padded(file: BinaryIO, tensor: _Tensor) -> Iterator[bytes]:
    """The tensor's rows, each padded with zeros, then the missing rows."""
    item = _item_bytes(tensor.dtype)
    if tensor.start is not None and tensor.shape == tensor.padded:
        file.seek(tensor.start)
        left = tensor.size_bytes
        while left:
            part = file.read(min(_CHUNK, left))
            if not part:
                raise OSError(f"{tensor.name} is truncated")
            left -= len(part)
            yield part
        return
    rows, columns = tensor.shape
    old_row, new_row = columns * item, tensor.padded[1] * item
    missing = (tensor.padded[0] - rows) * new_row
    if tensor.start is not None and rows and old_row:
        file.seek(tensor.start)
        filler = bytes(new_row - old_row)
        block = max(1, _CHUNK // new_row)
        for first in range(0, rows, block):
            data = file.read(min(block, rows - first) * old_row)
            if len(data) % old_row:
                raise OSError(f"{tensor.name} is truncated")
            yield b"".join(data[at : at + old_row] + filler for at in range(0, len(data), old_row))
    else:
        missing = tensor.size_bytes
    while missing:
        part = bytes(min(_CHUNK, missing))
        missing -= len(part)
        yield part


def _item_bytes(dtype: str) -> int:
    try:
        return _ITEM_BYTES[dtype]
    except KeyError:
        raise NotUniform(f"its tensors have type {dtype}") from None
