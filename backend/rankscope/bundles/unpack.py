"""Unpacks a bundle into a new folder. Nothing in the file is trusted: names, sizes and types are checked, nothing is run."""

import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from rankscope.contract.errors import BadInput, FieldProblem

MAX_BUNDLE_BYTES = 2_000_000_000
_MAX_MEMBERS = 2_000
_MAX_DIRECTORY_BYTES = 2_000_000
_MAX_DEFLATED_BYTES = 4_000_000_000
"""Of all compressed members together, unpacked: a small file must not fill the disk."""
_KEPT_FREE_BYTES = 256 << 20
_COPY_BYTES = 1 << 20
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _ZIP64_SIGNATURE, _ZIP64_BYTES = b"PK\x05\x06", b"PK\x06\x07", 20
_RUN_ID = re.compile("[a-z0-9]{1,16}")
_TEXTS = frozenset(
    {
        "run.json",
        "config.yaml",
        "report.html",
        "metrics.csv",
        "ledger.csv",
        "ranks.csv",
        "events.jsonl",
        "results.jsonl",
    }
)
_LOG = re.compile(r"logs/attempt-[1-9][0-9]{0,8}\.txt")
_RESULT = re.compile(r"(adapter|model)/(?:[A-Za-z0-9][A-Za-z0-9._-]{0,99}/){0,3}[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RESULT_KINDS = frozenset({".safetensors", ".json", ".txt", ".md", ".model", ".jinja"})
"""Suffixes of an adapter's or model's files. Formats that can contain code, such as .bin and .pt, are not accepted."""


def refuse(message: str, next_step: str = "Export the bundle again, or check that the file is complete.") -> BadInput:
    """Returns an error about the file that was sent."""
    return BadInput([FieldProblem("body", None, message, next_step)])


def unpack(source: Path, target: Path) -> str:
    """Unpacks the bundle into the existing folder `target`, and returns the id that the run had. Raises BadInput."""
    try:
        with source.open("rb") as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                return _unpack(archive, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError) as error:
        raise refuse(f"is not a complete zip file ({error})") from error


def _check_directory(file: BinaryIO) -> None:
    """Refuses a directory that would take much memory, before zipfile reads it."""
    size = file.seek(0, 2)
    start = max(0, size - _END.size - 65_535)
    file.seek(start)
    tail = file.read()
    place = tail.rfind(_END_SIGNATURE)
    if place < 0 or len(tail) - place < _END.size:
        raise refuse("is not a zip file, or ends too early", "Send the zip that RUN-bundle.zip is.")
    _, _, _, _, members, directory, _, _ = _END.unpack_from(tail, place)
    if tail[max(0, place - _ZIP64_BYTES) : place].startswith(_ZIP64_SIGNATURE):
        raise refuse("has a directory in zip64 form, which no bundle has")
    if members > _MAX_MEMBERS or directory > _MAX_DIRECTORY_BYTES:
        raise refuse(f"contains {members:,} files; a bundle has at most {_MAX_MEMBERS:,}")


def _unpack(archive: zipfile.ZipFile, target: Path) -> str:
    run_ids: set[str] = set()
    seen: set[str] = set()
    deflated = 0
    left = shutil.disk_usage(target).free - _KEPT_FREE_BYTES
    for member in archive.infolist():
        run_id, _, name = member.filename.partition("/")
        _check(member, run_id, name)
        if name.casefold() in seen:
            raise refuse(f"contains {name!r} twice")
        seen.add(name.casefold())
        run_ids.add(run_id)
        if member.compress_type != zipfile.ZIP_STORED:
            deflated += member.file_size
        left -= member.file_size
        if deflated > _MAX_DEFLATED_BYTES or left < 0:
            raise refuse(
                f"needs more than {(_MAX_DEFLATED_BYTES if left >= 0 else member.file_size):,} bytes when it is unpacked",
                "Free space in the data folder, or export a smaller run.",
            )
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as content, path.open("xb") as file:
            shutil.copyfileobj(content, file, _COPY_BYTES)
    if len(run_ids) != 1 or not {"run.json", "events.jsonl"} <= seen:
        raise refuse("is not the bundle of one run: run.json or events.jsonl is missing", "Use GET /runs/RUN/bundle.")
    return run_ids.pop()


def _check(member: zipfile.ZipInfo, run_id: str, name: str) -> None:
    shown = member.filename[:200]
    if not _RUN_ID.fullmatch(run_id) or not (name in _TEXTS or _LOG.fullmatch(name) or _RESULT.fullmatch(name)):
        raise refuse(f"contains {shown!r}, which does not belong in a bundle")
    if _RESULT.fullmatch(name) and Path(name).suffix not in _RESULT_KINDS:
        raise refuse(f"contains {shown!r}, whose kind of file is not accepted", "Save weights as safetensors.")
    mode = member.external_attr >> 16
    if member.flag_bits & 0x1 or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        raise refuse(f"contains {shown!r}, which is encrypted, a link or a special file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refuse(f"contains {shown!r} in a compression that no bundle has")
