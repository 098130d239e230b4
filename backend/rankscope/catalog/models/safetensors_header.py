"""The header of a safetensors file: names, types, shapes and offsets, with the checks of the reference implementation.

A file has eight bytes with the header's length (little-endian), the header as JSON, and the tensors' bytes without gaps.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from rankscope.catalog.models.files import MIB, UnusableModel, check_content, json_kind, open_regular, shown

MAX_HEADER_BYTES = 25 * MIB
"""About 200,000 tensors. The reference implementation's limit is 100 MB; parsing takes ten times the header's size in memory."""
_PREFIX = 8
_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "C64": 64,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


@dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Offsets in the file."""
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Returns the parsed header, and its tensors by name. Raises UnusableModel if the file is damaged."""
    name = shown(path.name)
    with open_regular(path) as file:
        begin = file.read(1024)
        size = file.seek(0, 2)
        check_content(path.name, begin)
        if len(begin) < _PREFIX:
            raise _truncated(name, f"has {size} bytes")
        (length,) = struct.unpack("<Q", begin[:_PREFIX])
        if length > MAX_HEADER_BYTES:
            raise UnusableModel(
                f"{name} is not a safetensors file: its header would have {length:,} bytes, "
                f"above the limit of {MAX_HEADER_BYTES:,}",
                f"Copy {name} again, or save the model again with save_pretrained.",
            )
        if _PREFIX + length > size:
            raise _truncated(name, f"ends inside its header: {size:,} of {_PREFIX + length:,} bytes")
        file.seek(_PREFIX)
        text = file.read(length)
    header = _parsed(name, text)
    return header, _tensors(name, header, _PREFIX + length, size)


def _parsed(name: str, text: bytes) -> dict[str, object]:
    again = f"Copy {name} again, or save the model again with save_pretrained."
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        why = "is nested too deeply" if isinstance(error, RecursionError) else "is not JSON"
        raise UnusableModel(f"{name} is not a safetensors file: its header {why}", again) from error
    if not isinstance(header, dict):
        raise UnusableModel(
            f"{name} is not a safetensors file: its header is {json_kind(header)}, not an object", again
        )
    notes = header.get("__metadata__")
    if notes is not None and not (isinstance(notes, dict) and all(isinstance(note, str) for note in notes.values())):
        raise UnusableModel(f"{name} is not a safetensors file: its __metadata__ is not an object of strings", again)
    return header


def _tensors(name: str, header: Mapping[str, object], start: int, size: int) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for key, value in header.items():
        if key != "__metadata__":
            tensors[key] = _tensor(name, key, value, start)
    end = start
    for key, tensor in sorted(tensors.items(), key=lambda pair: (pair[1].begin, pair[1].end)):
        if tensor.begin != end:
            what = "overlaps another one" if tensor.begin < end else "has a gap before it"
            raise _broken(name, key, what)
        end = tensor.end
    if end > size:
        raise _truncated(name, f"has {size:,} of {end:,} bytes")
    if end < size:
        raise UnusableModel(
            f"{name} has {size - end:,} bytes after its last tensor", f"Copy {name} again: the file is damaged."
        )
    if not tensors:
        raise UnusableModel(f"{name} contains no tensors", "Save the model again with save_pretrained.")
    return tensors


def _tensor(name: str, key: str, value: object, start: int) -> Tensor:
    if not isinstance(value, dict):
        raise _broken(name, key, f"is {json_kind(value)}, not an object")
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _broken(name, key, f"has dtype {str(dtype)[:40]!r}, which is unknown" if dtype else "has no dtype")
    if not _are_counts(shape):
        raise _broken(name, key, "has no shape of integers")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _broken(name, key, "has no data_offsets of two ascending integers")
    bits = math.prod(shape) * _BITS[dtype]
    if bits != (offsets[1] - offsets[0]) * 8:
        raise _broken(
            name, key, f"has shape {str(shape)[:60]}, which does not match its {offsets[1] - offsets[0]:,} bytes"
        )
    return Tensor(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_counts(value: object) -> TypeGuard[list[int]]:
    """Whether it is a short list of integers from 0 to 2^53. Larger ones would make their product slow to compute."""
    return (
        isinstance(value, list)
        and len(value) <= 16
        and all(type(each) is int and 0 <= each <= 1 << 53 for each in value)
    )


def _broken(name: str, key: str, what: str) -> UnusableModel:
    return UnusableModel(
        f"{name} is damaged: tensor {shown_key(key)} {what}",
        f"Copy {name} again, or save the model again with save_pretrained.",
    )


def _truncated(name: str, what: str) -> UnusableModel:
    return UnusableModel(f"{name} is truncated: it {what}", f"Copy {name} again: the copy is incomplete.")


def shown_key(key: str) -> str:
    """Returns a tensor's name for a message, quoted and at most 80 characters long."""
    text = key.encode("utf-8", "backslashreplace").decode()
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
