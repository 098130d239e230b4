"""A genuine backup, taken apart and reassembled with changes."""

import hashlib
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

from rankscope.backup.write import write_backup
from rankscope.settings import Settings
from tests.backend.test_backup import fill, rows

Member = tuple[tarfile.TarInfo, bytes]


class Made:
    """A genuine backup in parts, to be reassembled with changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        old = Settings(_env_file=None, data_dir=folder / "old")
        old.data_dir.mkdir(parents=True)
        self.run_id, self.waiting = fill(old)
        self.rows = rows(old)
        write_backup(old, folder / "good.tar.gz")
        with tarfile.open(folder / "good.tar.gz") as archive:
            self.members: list[Member] = [(one, archive.extractfile(one).read()) for one in archive]  # type: ignore[union-attr]

    def with_members(self, *more: Member, name: str = "bad.tar.gz") -> Path:
        path = self.folder / name
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for member, content in (*self.members, *more):
                archive.addfile(member, io.BytesIO(content))
        return path

    def with_sql(self, *statements: str) -> Path:
        """Changes the database, and the note's checksum to match."""
        database = self.folder / "changed.db"
        database.write_bytes(self.content("database.db"))
        with closing(sqlite3.connect(database, isolation_level=None)) as raw:
            raw.execute("PRAGMA foreign_keys=OFF")
            for statement in statements:
                raw.execute(statement)
        content = database.read_bytes()
        return self.replaced({"database.db": content, "backup.json": self.note(content)})

    def note(self, database: bytes, **changes: Any) -> bytes:
        note = json.loads(self.content("backup.json")) | {"sha256": hashlib.sha256(database).hexdigest()} | changes
        return json.dumps(note).encode()

    def replaced(self, contents: dict[str, bytes]) -> Path:
        path = self.folder / "bad.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for member, content in self.members:
                content = contents.get(member.name, content)
                archive.addfile(file(member.name, content)[0], io.BytesIO(content))
        return path

    def content(self, name: str) -> bytes:
        return next(content for member, content in self.members if member.name == name)


def file(name: str, content: bytes = b"x") -> Member:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""
