"""Files that were found in data folders, and other junk, for tests that junk doesn't affect anything else."""

import gzip
import os
import socket
from pathlib import Path

CONTENTS: dict[str, bytes] = {
    "latin1.csv": "text,label\ncafé,x\n".encode("latin-1"),
    "utf16.csv": "text,label\ngood,x\nbad,y\n".encode("utf-16"),
    "utf16-without-mark.csv": "text,label\ngood,x\n".encode("utf-16-le"),
    "bom.csv": b"\xef\xbb\xbftext,label\ngood,x\nbad,y\n",
    "._reviews.csv": b"\0\x05\x16\x07\0\x02\0\0Mac OS X",
    ".DS_Store": b"\0\0\0\1Bud1",
    "ragged.csv": b"text,label\ngood,x\nbad\na,b,c\n",
    "unclosed.csv": b'text,label\n"good,x\nbad,y\n',
    "two-names.csv": b"text,text,label\na,b,c\n",
    "nul.csv": b"text,label\n\0\0\0,x\n",
    "long-field.csv": b"text,label\n" + b"a" * (1 << 24) + b"b,x\n",
    "empty.csv": b"",
    "header.csv": b"text,label\n",
    "packed.csv": gzip.compress(b"text,label\ngood,x\n", mtime=0),
    "zipped.csv": b"PK\x03\x04\x14\0\0\0",
    "parquet.csv": b"PAR1\x15\x04\x15",
    "pointer.csv": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "random.csv": bytes(range(256)) * 64,
    "ids.csv": b"text,label\n" + b"".join(b"text %d,%d\n" % (n, n) for n in range(5000)),
    "empty-labels.csv": b"text,label\na,\nb,\n",
    "lists.jsonl": b'["good", "x"]\n["bad", "y"]\n',
    "numbers.jsonl": b"1\n2\n",
    "other-order.jsonl": b'{"text": "good", "label": "x"}\n{"label": "y", "text": "bad"}\n',
    "deep.jsonl": b"[" * 100_000 + b"\n",
    "huge-number.jsonl": b'{"text": "a", "label": ' + b"9" * 10_000 + b"}\n",
    "half-character.jsonl": b'{"text": "\\ud800", "label": "x"}\n',
    "twice.jsonl": b'{"text": "a", "text": "b", "label": "x"}\n',
    "nan.jsonl": b'{"text": NaN, "label": NaN}\n{"text": null, "label": Infinity}\n',
    "cut.jsonl": b'{"text": "a", "label": "x"}\n{"text": "b", "la',
    "reviews.json": b'[{"text": "a", "label": "x"}]',
    "reviews.tsv": b"text\tlabel\nonly one\n",
    "reviews.ndjson": b"not json\n",
    "reviews.csv.gz": gzip.compress(b"text,label\n", mtime=0),
    "reviews.zip": b"PK\x03\x04",
    "reviews.parquet": b"PAR1",
    "reviews.xlsx": b"PK\x03\x04",
    "reviews.txt": b"a\nb\n",
    "reviews.csv.part": b"text,label\n",
    'it\'s "quoted".csv': b"text,label\n",
    "no-ending": b"text,label\na,b\n",
}


def fill_with_junk(folder: Path) -> None:
    """Regular and special files, and names that are not text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    base = os.fsencode(folder) + b"/"
    for bytes_name in (b"caf\xe9.csv", b"\xff\xfe.jsonl", b"two\nlines.csv", b"\x1b[31mred.csv", b"a" * 250 + b".csv"):
        Path(os.fsdecode(base + bytes_name)).write_bytes(b"text,label\na,x\n")
    os.mkfifo(folder / "pipe.csv")
    os.mkfifo(folder / "reviews.jsonl")
    (folder / "folder.csv").mkdir()
    (folder / "reviews").mkdir()
    (folder / "gone.csv").symlink_to(folder / "nothing.csv")
    (folder / "loop.jsonl").symlink_to(folder / "loop.jsonl")
    (folder / "zeros.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path has at most 107 bytes
        try:
            bound.bind("socket.csv")
        finally:
            os.chdir(here)
