"""Forged backups: rejected before anything is changed, and never able to reach another file."""

import gzip
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from rankscope.backup.restore import restore_backup
from rankscope.backup.unpack import unpack
from rankscope.backup.write import write_backup
from rankscope.contract.errors import StartupError
from rankscope.data_folder import in_use
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine
from rankscope.store.database.schema import migrate
from tests.backend.forged_backups import Made, file, special
from tests.backend.store_setup import queued_run, read_run
from tests.backend.test_backup import rows


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("original"))


@pytest.fixture
def made(original: Made, tmp_path: Path) -> Made:
    """In a separate folder: filling a database and backing it up took most of each test."""
    made = copy(original)
    made.folder = tmp_path / "made"
    shutil.copytree(original.folder, made.folder)
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    """An installation without runs, next to a file that must not change."""
    folder = tmp_path / "house" / "data"
    folder.mkdir(parents=True)
    (folder / "token").write_text("the token of this place")
    (tmp_path / "house" / "neighbour").write_text("untouched")
    return Settings(_env_file=None, data_dir=folder)


def picture(settings: Settings) -> dict[str, str]:
    """Every file and link around the data folder, with its content; that of the lock is left out."""
    house = settings.data_dir.parent
    return {
        str(path.relative_to(house)): os.readlink(path) if path.is_symlink() else path.read_text(errors="replace")
        for path in sorted(house.rglob("*"))
        if (path.is_symlink() or path.is_file()) and path.name != "in-use.lock"
    }


def refuse(settings: Settings, source: Path, *words: str, **options: Any) -> str:
    before = picture(settings)
    with pytest.raises(StartupError) as caught:
        restore_backup(settings, source, **options)
    assert picture(settings) == before, "something was changed"
    sentence = caught.value.detail
    assert "\n" not in sentence
    assert "othing was changed" in sentence
    for word in words:
        assert word in sentence
    return sentence


NAMES = [
    "runs/../../x/log.txt",
    "../x",
    "/etc/x",
    "runs/../token",
    "runs/abc/../../../neighbour",
    "runs/ABC/log.txt",
    "runs/a.b/log.txt",
    "token",
    "valkey/valkey.conf",
    "models/x/config.json",
    "runs/loose.txt",
    "runs/abcdefghijklmnopq/x",
    "runs/a\\..\\x/log.txt",
    "runs/abc/a\nb",
    "runs/abc/" + "x" * 256,
    "runs/abc/" + "/".join(["y" * 100] * 20),
    "runs/abc/\x1b[31m",
    "backup.json/x",
    "./../x",
    "runs//../../x",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_member_that_does_not_belong_there_is_refused(made: Made, empty: Settings, name: str) -> None:
    refuse(empty, made.with_members(file(name)))


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "../../../token"),
        (tarfile.SYMTYPE, "log2.txt"),
        (tarfile.LNKTYPE, "backup.json"),
        (tarfile.LNKTYPE, "../token"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (b"9", ""),
    ],
)
def test_links_and_special_files_are_refused(made: Made, empty: Settings, kind: bytes, target: str) -> None:
    name = f"runs/{made.run_id}/attempt-1/log2.txt"
    refuse(empty, made.with_members(special(name, kind, target)), "link or a special file")


def test_a_link_as_a_parent_folder_is_refused(made: Made, empty: Settings) -> None:
    refuse(empty, made.with_members(special("runs/abc", tarfile.SYMTYPE, "/tmp"), file("runs/abc/attempt-1/log.txt")))


def test_repeated_members_are_refused_in_any_case(made: Made, empty: Settings) -> None:
    log = f"runs/{made.run_id}/attempt-1/log.txt"
    refuse(empty, made.with_members(file(log)), "twice")
    refuse(empty, made.with_members(file(log.replace("log", "LOG"))), "twice")
    refuse(empty, made.with_members(file("database.db")), "twice")
    refuse(empty, made.with_members(file(f"{log}/x")), "both a file and a folder")


def test_a_file_larger_than_the_disk_is_refused_before_it_is_unpacked(made: Made, empty: Settings) -> None:
    huge = tarfile.TarInfo(f"runs/{made.run_id}/attempt-1/huge")
    huge.size = 1 << 50
    source = made.folder / "huge.tar.gz"
    with gzip.open(source, "wb") as packed:
        for member, content in made.members:
            packed.write(member.tobuf() + content + bytes(-len(content) % 512))
        packed.write(huge.tobuf() + bytes(1 << 20))
    refuse(empty, source, "has space for")


NUMBERS = {"mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12), "mtime": (136, 12)}
"""Numeric fields of a tar header: offset and length."""
WRITTEN: dict[str, Callable[[int], bytes]] = {
    "negative": lambda length: b"\xff" + b"\xff" * (length - 2) + b"\x00",
    "huge": lambda length: b"\x80" + b"\x7f" * (length - 1),
    "not a number": lambda length: b"9z" * (length // 2),
    "null": lambda length: b"\0" * length,
}


def with_number(header: bytes, field: str, written: bytes) -> bytes:
    """The header with other bytes in a numeric field, and the matching checksum."""
    offset, length = NUMBERS[field]
    changed = header[:offset] + written + header[offset + length :]
    checksum = sum(changed[:148]) + 8 * 32 + sum(changed[156:512])
    return changed[:148] + b"%06o\0 " % checksum + changed[156:]


@pytest.mark.parametrize("field", NUMBERS)
def test_impossible_numbers_in_a_header_are_refused_or_ignored(made: Made, empty: Settings, field: str) -> None:
    """Mode, owner and time are not restored, so only their form matters."""
    for title, write in WRITTEN.items():
        source = made.folder / f"{title}.tar.gz"
        with gzip.open(source, "wb") as packed:
            for member, content in made.members:
                packed.write(member.tobuf() + content + bytes(-len(content) % 512))
            member, content = file(f"runs/{made.run_id}/attempt-1/more.txt")
            packed.write(with_number(member.tobuf(tarfile.USTAR_FORMAT), field, write(NUMBERS[field][1])))
            packed.write(content + bytes(511) + bytes(1024))
        if title == "not a number" or (field == "size" and title == "null"):
            # Without its size, a file's content is read as the next header.
            refuse(empty, source, "it has a damaged header")
        elif field == "size":
            refuse(empty, source, "has a size of -" if title == "negative" else "has space for")
        else:
            unpacked = made.folder / title
            unpacked.mkdir()
            unpack(source, unpacked)
            assert (unpacked / "runs" / made.run_id / "attempt-1" / "more.txt").stat().st_size == 1


@pytest.mark.parametrize(("blocks", "problem"), [(0, "it is truncated"), (1, "it has a damaged header")])
def test_an_archive_that_ends_too_early_is_refused(made: Made, empty: Settings, blocks: int, problem: str) -> None:
    """tarfile treats both as the end of an archive: anything after it would be lost silently."""
    source = made.folder / "early.tar.gz"
    with gzip.open(source, "wb") as packed:
        for member, content in made.members:
            packed.write(member.tobuf() + content + bytes(-len(content) % 512))
        packed.write(b"?" * 512 * blocks)
    refuse(empty, source, problem)


def test_a_size_in_an_extended_header_is_refused_too(made: Made, empty: Settings) -> None:
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, 11
    member, content = file(f"runs/{made.run_id}/attempt-1/more.txt")
    source = made.folder / "extended.tar.gz"
    with gzip.open(source, "wb") as packed:
        packed.write(extended.tobuf() + b"11 size=-5\n" + bytes(501))
        packed.write(member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(511))
    refuse(empty, source, "has a size of -5 bytes")


def test_a_header_that_claims_to_be_huge_is_not_read_into_memory(made: Made, empty: Settings) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    source = made.folder / "long.tar.gz"
    with gzip.open(source, "wb") as packed:
        packed.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))
    refuse(empty, source, "too large")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_backup_that_was_cut_off_is_refused(made: Made, empty: Settings, kept: float) -> None:
    whole = (made.folder / "good.tar.gz").read_bytes()
    cut = made.folder / "cut.tar.gz"
    cut.write_bytes(whole[: int(len(whole) * kept)])
    refuse(empty, cut, "truncated")


def test_a_changed_byte_is_found(made: Made, empty: Settings) -> None:
    log = f"runs/{made.run_id}/attempt-1/log.txt"
    source = made.replaced({log: os.urandom(5000)})
    packed = bytearray(source.read_bytes())
    packed[-200] ^= 0xFF  # in bytes that do not compress: the length stays
    source.write_bytes(packed)
    refuse(empty, source)


BAD_ROWS = {
    "a run id that is a path": ["UPDATE run SET id = '../../x' WHERE status = 'queued'"],
    "a run id in capitals": ["UPDATE run SET id = 'ABC' WHERE status = 'queued'"],
    "an empty run id": ["UPDATE run SET id = '' WHERE status = 'queued'"],
    "a run id with a line end": ["UPDATE run SET id = 'abc' || char(10) WHERE status = 'queued'"],
    "a parent that is a path": ["UPDATE run SET parent_id = '../x'"],
    "a result that is a path": ["UPDATE run SET artifact = '../../..'"],
    "an unknown status": ["UPDATE run SET status = 'flying'"],
    "an unknown stop": ["UPDATE run SET stop_requested = 'later'"],
    "text for a number": ["UPDATE run SET attempt = 'x'"],
    "a negative attempt": ["UPDATE checkpoint SET attempt = -1"],
    "a list for an object": ["UPDATE run SET config = '[]'"],
    "an object for a list": ["UPDATE run SET steer_requests = '{}'"],
    "no JSON": ["UPDATE run SET config = '{'"],
    "a number for text": ["UPDATE run SET name = x'00ff'"],
    "a name that is too long": ["UPDATE run SET name = printf('%.*c', 300, 'x')"],
    "an event of no run": ["UPDATE event SET run_id = 'nobody' WHERE kind = 'modules'"],
    "a checkpoint of a path": ["UPDATE checkpoint SET run_id = '../x'"],
    "a payload that is a list": ["UPDATE event SET payload = '[1]'"],
    "a column that we do not have": ["ALTER TABLE run ADD COLUMN surprise TEXT"],
    "a column missing": ["ALTER TABLE run DROP COLUMN notes"],
    "a table that we do not have": ["CREATE TABLE surprise (x)"],
    "a table missing": ["DROP TABLE checkpoint"],
    "a trigger": ["CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END"],
    "a view": ["CREATE VIEW v AS SELECT 1"],
    "a newer schema": ["UPDATE alembic_version SET version_num = '9999'"],
    "no schema": ["DELETE FROM alembic_version"],
}


@pytest.mark.parametrize("statements", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_database_with_invalid_rows_is_refused(made: Made, empty: Settings, statements: list[str]) -> None:
    source = made.with_sql(*statements)
    refuse_rows(empty, source)


def refuse_rows(settings: Settings, source: Path) -> None:
    """As `refuse`, except that an empty database may already exist."""
    with pytest.raises(StartupError) as caught:
        restore_backup(settings, source)
    assert "\n" not in caught.value.detail
    database = settings.data_dir / "rankscope.db"
    if database.exists():
        assert not any(rows(settings).values())
    after = {name for name in picture(settings) if "rankscope.db" not in name}
    assert after == {"data/token", "neighbour"}


@pytest.mark.parametrize(
    "note", [b"", b"{}", b"[]", b"\xff", b"null", b'{"format": 1}', b"[" * 100_000, b"x" * 100_000], ids=range(8)
)
def test_an_invalid_backup_note_is_refused(made: Made, empty: Settings, note: bytes) -> None:
    refuse(empty, made.replaced({"backup.json": note}))


@pytest.mark.parametrize("changes", [{"format": 2}, {"format": "1"}, {"runs": "many"}, {"sha256": "0"}, {"more": 1}])
def test_a_note_with_other_values_is_refused(made: Made, empty: Settings, changes: dict[str, Any]) -> None:
    refuse(empty, made.replaced({"backup.json": made.note(made.content("database.db"), **changes)}))


def test_file_that_is_not_a_database_is_refused(made: Made, empty: Settings) -> None:
    for content in (b"", b"SQLite format 3\x00" + bytes(4096), os.urandom(8192)):
        refuse(empty, made.replaced({"database.db": content, "backup.json": made.note(content)}))


def test_links_in_the_data_folder_are_moved_and_not_followed(made: Made, empty: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / made.run_id).mkdir(parents=True)
    (elsewhere / made.run_id / "mine").write_text("mine")
    empty.runs_dir.symlink_to(elsewhere)
    restore_backup(empty, made.folder / "good.tar.gz")
    assert not empty.runs_dir.is_symlink()
    assert [path.name for path in elsewhere.rglob("*")] == [made.run_id, "mine"]
    (aside,) = empty.data_dir.glob("runs-before-restore-*")
    assert aside.is_symlink()
    assert rows(empty) == made.rows


def test_files_of_runs_that_are_not_in_the_database_are_left_out(made: Made, empty: Settings) -> None:
    restore_backup(empty, made.with_members(file("runs/latecomer/attempt-1/log.txt")))
    assert [path.name for path in empty.runs_dir.iterdir()] == [made.run_id]


def test_a_running_installation_is_not_replaced(made: Made, empty: Settings) -> None:
    with in_use(empty.data_dir), in_use(empty.data_dir), pytest.raises(StartupError, match="Stop its server"):
        restore_backup(empty, made.folder / "good.tar.gz")
    restore_backup(empty, made.folder / "good.tar.gz")


def test_a_commit_that_fails_leaves_files_and_rows_as_they_were(
    made: Made, empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files were moved before the commit, and stayed moved when it failed."""
    engine = create_engine(empty.resolved_database_url)
    migrate(engine)
    mine = queued_run(engine)
    engine.dispose()
    log = empty.attempt_dir(mine, 1) / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("mine")
    # A row that the database itself rejects, and only at the end of the transaction.
    with closing(sqlite3.connect(empty.data_dir / "rankscope.db", isolation_level=None)) as raw:
        raw.execute("CREATE TABLE late (x REFERENCES run(id) DEFERRABLE INITIALLY DEFERRED)")
        raw.execute(f"INSERT INTO late VALUES ('{mine}')")
    with pytest.raises(StartupError, match="nothing was changed"):
        restore_backup(empty, made.folder / "good.tar.gz", replace=True)
    assert log.read_text() == "mine"
    assert [path.name for path in empty.data_dir.glob("runs*")] == ["runs"]
    engine = create_engine(empty.resolved_database_url)
    assert read_run(engine, mine).id == mine
    engine.dispose()


def test_nothing_starts_on_a_restore_that_was_cut_off(made: Made, empty: Settings) -> None:
    (empty.data_dir / "restore-unfinished").touch()
    with pytest.raises(StartupError, match="was interrupted"), in_use(empty.data_dir):
        pass
    restore_backup(empty, made.folder / "good.tar.gz")
    with in_use(empty.data_dir):
        pass


def test_a_backup_contains_neither_links_nor_the_token(made: Made, tmp_path: Path) -> None:
    old = Settings(_env_file=None, data_dir=made.folder / "old")
    (old.data_dir / "token").write_text("the secret of this place")
    attempt = old.attempt_dir(made.run_id, 1)
    (attempt / "metrics.json").symlink_to(old.data_dir / "token")
    (attempt / "folder").symlink_to(old.data_dir)
    (attempt / "checkpoints" / "step-2" / "weights").symlink_to(old.data_dir / "token")
    os.mkfifo(attempt / "pipe")
    write_backup(old, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        for member in archive:
            assert member.isreg(), member.name
            assert b"secret of this place" not in archive.extractfile(member).read()  # type: ignore[union-attr]
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o077 == 0
