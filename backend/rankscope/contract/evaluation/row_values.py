"""Numbers of each evaluation row, such as whether it is right, as files `row_values_final.bin` and `row_values_best.bin`.

The first line is a RowValuesHeader as JSON. The rest, compressed by zlib, has for each name one float32 (little-endian)
per row, in the order of the data set, so that two runs on the same split can be compared row by row. NaN: not measured.
"""

import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

RowValuesAt = Literal["final", "best"]
_MAX_HEADER_BYTES = 10_000


class RowValuesHeader(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    version: int = 1
    step: int
    """The optimizer step of the evaluation."""
    rows: int = Field(ge=0, le=100_000_000)
    names: list[str] = Field(max_length=20)
    """Metrics without `eval_`, the task's main one first. The mean over the rows is the metric, or close to it."""


class RowValues(NamedTuple):
    step: int
    values: dict[str, "array[float]"]
    """One float32 for each evaluation row, by name, the task's main one first."""


def row_values_file(at: RowValuesAt) -> str:
    """Returns the name of the file in an attempt's folder."""
    return f"row_values_{at}.bin"


def encode_row_values(step: int, values: Mapping[str, Iterable[float]]) -> bytes:
    """Returns the content of a file."""
    columns = [array("f", map(float, column)) for column in values.values()]
    header = RowValuesHeader(step=step, rows=len(columns[0]) if columns else 0, names=list(values))
    packed = zlib.compress(b"".join(map(_little_endian, columns)), 6)
    return header.model_dump_json().encode() + b"\n" + packed


def read_row_values(file: Path) -> RowValues:
    """Returns the content of a file. Raises ValueError if it is damaged."""
    content = file.read_bytes()
    line, _, packed = content.partition(b"\n")
    if len(line) > _MAX_HEADER_BYTES:
        raise ValueError(f"{file.name} has no header")
    header = RowValuesHeader.model_validate_json(line)
    size = 4 * header.rows
    try:
        stream = zlib.decompressobj()
        plain = stream.decompress(packed, size * len(header.names) + 1)
    except zlib.error as error:
        raise ValueError(f"{file.name} is damaged: {error}") from error
    if len(plain) <= size * len(header.names) and not stream.eof:
        raise ValueError(f"{file.name} is truncated")
    if len(plain) != size * len(header.names):
        raise ValueError(f"{file.name} has {len(plain)} bytes of values instead of {size * len(header.names)}")
    columns = (_from_little_endian(plain[at * size : (at + 1) * size]) for at in range(len(header.names)))
    return RowValues(header.step, dict(zip(header.names, columns, strict=True)))


def _little_endian(column: "array[float]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _from_little_endian(text: bytes) -> "array[float]":
    column = array("f", text)
    if sys.byteorder == "big":
        column.byteswap()
    return column
