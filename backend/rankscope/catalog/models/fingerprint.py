"""Fingerprints of a model's files: whether a run finds the model that it was launched with.

`v2:` is SHA-256 over config.json, the tokenizer's files and the weights. Weights of at most 256 MiB are read whole; of larger
ones 4 KiB at the begin, in the middle and at the end of every tensor, and the header. So a training that wrote other weights
over the old ones in place is seen, whichever layer it trained; a single number changed inside a large tensor may not be.
It takes 0.2 s for a model of 90 MB and at most about a second for one of 14 GB.

A fingerprint without a prefix is the first kind, of runs launched earlier: config.json, and each weight file's name, size and
header.
"""

import json
import struct
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from rankscope.catalog.models.files import MIB, ModelFiles, list_folder, open_regular
from rankscope.catalog.models.safetensors_header import Tensor, read_header
from rankscope.catalog.models.tokenizer_files import TOKENIZER_FILES

_PREFIX = "v2:"
_FULLY_READ_BYTES = 256 * MIB
_SAMPLE = 4096
_MOST_SAMPLED = 20_000
"""Tensors of which samples are read, evenly chosen: a mixture of experts may have 100,000."""


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fingerprint(files: ModelFiles, weights: tuple[str, ...]) -> str:
    """The fingerprint of the files as `files` has seen them; computed once while they stay as they are."""
    return _version_2(files.stamp, files.folder, weights)


def has_fingerprint(files: ModelFiles, weights: tuple[str, ...], stored: str) -> bool:
    """Whether the files are those of a stored fingerprint, of either kind."""
    if stored.startswith(_PREFIX):
        return stored == fingerprint(files, weights)
    return stored == _version_1(files.stamp, files.folder)


@lru_cache(maxsize=256)
def _version_2(_stamp: object, folder: Path, weights: tuple[str, ...]) -> str:
    files = list_folder(folder)
    digest = sha256()
    for name in ("config.json", *TOKENIZER_FILES):
        if name in files.regular:
            digest.update(json.dumps([name, files.regular[name].size]).encode())
            _add_all(digest, folder / name)
    whole = sum(files.regular[name].size for name in weights if name in files.regular) <= _FULLY_READ_BYTES
    for name in weights:
        header, tensors = read_header(folder / name)
        digest.update(json.dumps([name, whole]).encode())
        if whole:
            _add_all(digest, folder / name)
        else:
            digest.update(json.dumps(header, sort_keys=True).encode())
            with open_regular(folder / name) as file:
                for begin, length in _samples(list(tensors.values())):
                    file.seek(begin)
                    digest.update(file.read(length))
    return _PREFIX + digest.hexdigest()


def _samples(tensors: list[Tensor]) -> Iterator[tuple[int, int]]:
    """(offset, length) of what is read, in the order of the file."""
    ordered = sorted(tensors, key=lambda tensor: tensor.begin)
    step = max(1, len(ordered) // _MOST_SAMPLED)
    for tensor in ordered[::step]:
        length = tensor.end - tensor.begin
        if length <= 3 * _SAMPLE:
            yield tensor.begin, length
        else:
            for begin in (tensor.begin, tensor.begin + length // 2, tensor.end - _SAMPLE):
                yield begin, _SAMPLE


def _add_all(digest: Digest, path: Path) -> None:
    with open_regular(path) as file:
        while chunk := file.read(MIB):
            digest.update(chunk)


@lru_cache(maxsize=64)
def _version_1(_stamp: object, folder: Path) -> str:
    """As the first versions computed it; UnusableModel where a file cannot be read any more."""
    with open_regular(folder / "config.json") as file:
        digest = sha256(file.read())
    for path in sorted(folder.glob("*.safetensors")):
        with open_regular(path) as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                return ""
            (length,) = struct.unpack("<Q", prefix)
            size = file.seek(0, 2)
            if length > size:
                return ""
            file.seek(8)
            try:
                header = json.loads(file.read(length))
            except (ValueError, RecursionError):
                return ""
        digest.update(json.dumps([path.name, size, header], sort_keys=True).encode())
    return digest.hexdigest()
