"""Turns an uploaded file into one that DuckDB can read: unpacked, of a known format, text in UTF-8."""

import codecs
import gzip
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rankscope.catalog.data.files import HEAD, BrokenFile, check_head
from rankscope.contract.imports import Encoding, ImportOptions, SourceFormat

MAX_UNPACKED_BYTES = 10_000_000_000
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BLOCK = 4 << 20
_BOMS: tuple[tuple[bytes, Encoding, str], ...] = (
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16"),
)
_BY_ENDING: dict[str, SourceFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
_OTHER_ENCODING = "Choose another encoding, or save the file as UTF-8."
Report = Callable[[float], None]


@dataclass(frozen=True)
class Source:
    path: Path
    """Unpacked. Text is UTF-8, apart from broken rows."""
    name: Path
    """The name that the user gave the file, without .gz. Never a path to open."""
    format: SourceFormat
    encoding: Encoding | None
    """Of the uploaded text; null for Parquet."""


def prepare(source: Path, name: str, options: ImportOptions, work: Path, report: Report) -> Source:
    """Returns the file to read, which is `source` itself or a copy in `work`. Raises BrokenFile."""
    named = Path(name[:-3] if name.lower().endswith(".gz") else name)
    head = _head(source)
    if head.startswith(_GZIP):
        source = _unpacked(source, work / "unpacked")
        head = _head(source)
        if head.startswith(_GZIP):
            raise BrokenFile("It is compressed twice.", "Unpack it once, then upload it again.")
    kind = options.format or _format(head, named)
    if kind == "parquet":
        if not head.startswith(_PARQUET):
            raise BrokenFile("It is not a Parquet file.", "Choose another format.")
        return Source(source, named, kind, None)
    check_head(head)
    encoding, codec, has_nul = _encoding(source, head, options.encoding, kind, report)
    if codec != "utf-8" or has_nul:
        source = _in_utf8(source, codec, encoding, work / "utf8")
    return Source(source, named, kind, encoding)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _format(head: bytes, name: Path) -> SourceFormat:
    if head.startswith(_PARQUET):
        return "parquet"
    by_name = _BY_ENDING.get(name.suffix.lower())
    if by_name in ("csv", "json"):
        return by_name
    return "json" if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"{", b"[{", b"[\n", b"[ ")) else "csv"


def _unpacked(source: Path, target: Path) -> Path:
    """Unpacks a gzip file up to a limit, which also depends on the free space."""
    limit = min(MAX_UNPACKED_BYTES, shutil.disk_usage(target.parent).free // 2)
    written = 0
    try:
        with gzip.open(source) as packed, target.open("wb") as plain:
            while block := packed.read(_BLOCK):
                written += len(block)
                if written > limit:
                    raise BrokenFile(
                        f"It has more than {limit / 1e9:.1f} GB when it is unpacked.", "Split it into smaller files."
                    )
                plain.write(block)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BrokenFile(
            f"Its compressed data is damaged after {written:,} unpacked bytes.", "Compress and upload it again."
        ) from error
    return target


def _encoding(
    source: Path, head: bytes, given: Encoding | None, kind: SourceFormat, report: Report
) -> tuple[Encoding, str, bool]:
    """Returns the encoding, the name of its codec, and whether the text has NUL bytes, which no row may have.

    A text that is mostly UTF-8 is read as such, and its broken rows are rejected.
    """
    for bom, encoding, codec in _BOMS:
        if head.startswith(bom) and given in (None, encoding):
            return encoding, codec, False
    if given in ("utf-16", "utf-32"):
        return given, _wide_codec(head, given), False
    if given is None and _is_wide(head):
        return "utf-16", _wide_codec(head, "utf-16"), False
    good, bad, has_nul = _count_characters(source, report)
    if given is not None:
        codec = {"utf-8": "utf-8", "windows-1252": "cp1252", "latin-1": "latin-1"}[given]
        return given, codec, has_nul
    # JSON is UTF-8. In other encodings, letters with accents almost never form valid sequences of UTF-8.
    if bad > good and kind == "csv":
        return "windows-1252", "cp1252", has_nul
    return "utf-8", "utf-8", has_nul


def _is_wide(head: bytes) -> bool:
    nuls = max(head[::2].count(0), head[1::2].count(0))
    return nuls > 0.4 * len(head) / 2 and head.count(0) < 0.6 * len(head)


def _wide_codec(head: bytes, encoding: str) -> str:
    """Returns the codec for a text without a byte order mark."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return encoding
    return f"{encoding}-be" if head[:1] == b"\0" else f"{encoding}-le"


def _count_characters(source: Path, report: Report) -> tuple[int, int, bool]:
    """Returns the numbers of valid and of invalid sequences that are not ASCII, and whether there is a NUL byte."""
    good = bad = 0
    has_nul = False
    size, done = max(1, source.stat().st_size), 0
    with source.open("rb") as file:
        rest = b""
        while block := file.read(_BLOCK):
            done += len(block)
            report(0.1 * done / size)
            has_nul = has_nul or b"\0" in block
            block = rest + block
            rest = b""
            if block.isascii():
                continue
            try:
                text, used = codecs.utf_8_decode(block, "strict", False)
                rest = block[used:]
            except UnicodeDecodeError:
                text = block.decode("utf-8", "surrogateescape")
                bad += sum("\udc80" <= letter <= "\udcff" for letter in text)
            if bad:
                good += sum("\x7f" < letter < "\ud800" or letter > "\udfff" for letter in text)
            else:
                good += len(block) - len(text)  # at least one for each letter that takes several bytes
    return good, bad + bool(rest), has_nul


def _in_utf8(source: Path, codec: str, encoding: Encoding, target: Path) -> Path:
    """Writes the text in UTF-8. A NUL becomes a byte that is invalid, so that its row is rejected with its line."""
    with target.open("wb") as file:
        for block in _decoded(source, codec, encoding):
            file.write(block.replace(b"\0", b"\xff"))
    return target


def _decoded(source: Path, codec: str, encoding: Encoding) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)()
    position = 0
    with source.open("rb") as file:
        if codec == "utf-8":  # its broken rows are kept, to be rejected
            while block := file.read(_BLOCK):
                yield block
            return
        while True:
            block = file.read(_BLOCK)
            try:
                yield decoder.decode(block, final=not block).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise BrokenFile(
                    f"It is not {encoding}: near byte {position + error.start + 1:,} it has {error.object[error.start]:#04x}.",
                    _OTHER_ENCODING,
                ) from error
            if not block:
                return
            position += len(block)
