"""Start-up failures of `up`, `api` and `worker`: one sentence, exit code 1, and no remaining process."""

import os
import shutil
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import redis

from rankscope.embedded import free_port
from tests.conftest import Broker
from tests.forked_commands import ForkedCommands
from tests.read_only import read_only
from tests.stack import wait_for
from tests.stacks.broken_installation import COMMANDS, Place

SERVERS = ("up", "api")
SECRET = "s3cret-of-the-url"


@pytest.fixture
def place(tmp_path: Path, migrated_sqlite: Path, shared_broker: Broker, forked: ForkedCommands) -> Place:
    """An installation that is not broken yet."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(migrated_sqlite, folder / "rankscope.db")
    (folder / "rankscope.db").chmod(0o600)
    return Place(folder, shared_broker, forked)


def cannot_start(place: Place, commands: tuple[str, ...], *words: str, as_installed: bool = False) -> None:
    """Runs all of these commands at the same time."""
    ended = (place.run_installed if as_installed else place.run)(commands)
    for name, (code, output, errors) in zip(commands, ended, strict=True):
        shown = f"{name}: {errors}{output}"
        assert code == 1, shown
        assert errors.count("\n") == 1, shown
        assert "Traceback" not in shown
        assert "ready" not in output, shown
        assert SECRET not in shown
        for word in words:
            assert word in errors, f"{word!r} is not in: {shown}"
    assert place.processes() == []


Break = Callable[[Place], object]
EVERY = tuple(COMMANDS)


def environment(**variables: str) -> Break:
    return lambda place: place.environment.update(variables)


def options(*given: str) -> Break:
    return lambda place: place.options.extend(given)


def sql(*statements: str) -> Break:
    return lambda place: place.sql(*statements)


def write(name: str, content: bytes) -> Break:
    return lambda place: (place.folder / name).write_bytes(content)


def damage(place: Place) -> None:
    """Overwrites the middle with zeros; the header stays."""
    content = bytearray(place.database.read_bytes())
    content[4096 : 4096 * 4] = bytes(4096 * 3)
    place.database.write_bytes(content)


def database_as_a_folder(place: Place) -> None:
    place.database.unlink()
    place.database.mkdir()


def as_a_file(place: Place) -> None:
    shutil.rmtree(place.folder)
    place.folder.write_text("not a folder")


def below_a_file(place: Place) -> None:
    (place.folder / "file").write_text("not a folder")
    place.environment["RANKSCOPE_DATA_DIR"] = str(place.folder / "file" / "data")


def link_of_the_token(place: Place) -> None:
    (place.folder / "token").symlink_to("/etc/hostname")


def busy_lock(place: Place) -> None:
    (place.folder / "in-use.lock").mkdir()


CASES: list[tuple[str, tuple[str, ...], Break, tuple[str, ...]]] = [
    ("newer schema", EVERY, sql("UPDATE alembic_version SET version_num = '9999'"), ("has schema 9999", "newer")),
    (
        "newer schema for a worker",
        ("worker",),
        sql("UPDATE alembic_version SET version_num = '9999'"),
        ("has schema 9999, which a newer RankScope wrote",),
    ),
    ("table missing", EVERY, sql("DROP TABLE event"), ("'event'", "damaged")),
    ("column missing", EVERY, sql("ALTER TABLE run DROP COLUMN notes"), ("'notes'", "damaged")),
    ("schema version missing", EVERY, sql("DELETE FROM alembic_version"), ("database",)),
    ("not a database", EVERY, write("rankscope.db", b"not a database at all" * 500), ("damaged",)),
    ("damaged database", EVERY, damage, ("damaged",)),
    ("database is a folder", EVERY, database_as_a_folder, ("database",)),
    (
        "database without a folder",
        EVERY,
        environment(RANKSCOPE_DATABASE_URL="sqlite:////proc/none/x.db"),
        ("The database can't be opened",),
    ),
    (
        "database without tables",
        ("worker",),
        lambda place: place.database.unlink(),
        ("has no tables yet. Start the RankScope server once, which creates them.",),
    ),
    (
        "database of another kind",
        EVERY,
        environment(RANKSCOPE_DATABASE_URL=f"mysql://u:{SECRET}@h/d"),
        ("RANKSCOPE_DATABASE_URL", "which is neither sqlite"),
    ),
    ("no URL of a database", EVERY, environment(RANKSCOPE_DATABASE_URL=SECRET), ("RANKSCOPE_DATABASE_URL",)),
    (
        "port of the database",
        EVERY,
        environment(RANKSCOPE_DATABASE_URL=f"postgresql://h:{SECRET}/d"),
        ("RANKSCOPE_DATABASE_URL",),
    ),
    (
        "database is unreachable",
        EVERY,
        environment(RANKSCOPE_DATABASE_URL=f"postgresql://u:{SECRET}@127.0.0.1:1/d?password={SECRET}"),
        ("127.0.0.1:1",),
    ),
    (
        "the worker's database is unreachable",
        ("worker",),
        environment(RANKSCOPE_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"),
        ("is unreachable",),
    ),
    ("kind of broker", EVERY, environment(RANKSCOPE_BROKER_URL=f"amqp://u:{SECRET}@h"), ("RANKSCOPE_BROKER_URL",)),
    ("no URL of a broker", EVERY, environment(RANKSCOPE_BROKER_URL="localhost"), ("RANKSCOPE_BROKER_URL",)),
    (
        "port of the broker",
        EVERY,
        environment(RANKSCOPE_BROKER_URL=f"redis://:p@h:{SECRET}/0"),
        ("RANKSCOPE_BROKER_URL",),
    ),
    (
        "number of the broker",
        EVERY,
        environment(RANKSCOPE_BROKER_URL="redis://127.0.0.1/zero"),
        ("RANKSCOPE_BROKER_URL",),
    ),
    (
        "host of the broker",
        EVERY,
        environment(RANKSCOPE_BROKER_URL="redis://nosuchhost.invalid/0"),
        ("nosuchhost.invalid",),
    ),
    ("port that is no number", EVERY, environment(RANKSCOPE_PORT="abc"), ("RANKSCOPE_PORT", "'abc'")),
    ("lease below zero", EVERY, environment(RANKSCOPE_LEASE_S="-1"), ("RANKSCOPE_LEASE_S", "'-1'")),
    ("lease that is no number", EVERY, environment(RANKSCOPE_LEASE_S="nan"), ("RANKSCOPE_LEASE_S",)),
    ("no runs on a GPU", EVERY, environment(RANKSCOPE_MAX_RUNS_PER_GPU="0"), ("RANKSCOPE_MAX_RUNS_PER_GPU",)),
    ("size that is no size", EVERY, environment(RANKSCOPE_LOW_DISK="much"), ("RANKSCOPE_LOW_DISK", "'much'")),
    ("hosts that are no list", EVERY, environment(RANKSCOPE_ALLOWED_HOSTS='["a'), ("RANKSCOPE_ALLOWED_HOSTS",)),
    ("host with a scheme", EVERY, environment(RANKSCOPE_ALLOWED_HOSTS="https://a/b"), ("RANKSCOPE_ALLOWED_HOSTS",)),
    ("proxy that is no address", EVERY, environment(RANKSCOPE_TRUSTED_PROXIES="*"), ("RANKSCOPE_TRUSTED_PROXIES",)),
    ("no name of a data folder", EVERY, environment(RANKSCOPE_DATA_DIR=""), ("RANKSCOPE_DATA_DIR",)),
    ("data folder is a file", EVERY, as_a_file, ("data folder", "/data")),
    ("data folder below a file", SERVERS, below_a_file, ("/file/data", "--data-dir")),
    ("lock is a folder", EVERY, busy_lock, ("in-use.lock",)),
    ("empty token", SERVERS, write("token", b"\n"), ("token", "empty")),
    ("short token", SERVERS, environment(RANKSCOPE_TOKEN="short"), ("RANKSCOPE_TOKEN", "too short")),
    ("blank token", SERVERS, environment(RANKSCOPE_TOKEN="  " * 20), ("RANKSCOPE_TOKEN",)),
    ("token is a link", SERVERS, link_of_the_token, ("token", "link")),
    ("port above 65535", SERVERS, options("--port", "65536"), ("--port", "65536")),
    ("port option that is no number", SERVERS, options("--port", "abc"), ("--port", "abc")),
    ("unknown host", SERVERS, options("--host", "nosuchhost.invalid"), ("nosuchhost.invalid",)),
    ("host of another machine", SERVERS, options("--host", "192.0.2.1"), ("192.0.2.1",)),
    ("empty host", SERVERS, options("--host", ""), ("--host",)),
    ("no slots", ("worker",), options("--slots", "0"), ("--slots", "'0'")),
    ("slots below zero", ("worker",), options("--slots=-1"), ("--slots", "'-1'")),
    ("slots that are no number", ("worker",), options("--slots", "many"), ("--slots", "'many'")),
    ("unknown option", EVERY, options("--bogus"), ("--bogus", "--help")),
    ("option without its value", SERVERS, options("--port"), ("--port", "--help")),
    ("value of a switch", SERVERS, options("--data-dir", "data", "extra"), ("extra", "--help")),
    ("missing data folder", ("worker",), lambda place: shutil.rmtree(place.folder), ("does not exist",)),
]


@pytest.mark.parametrize(
    ("commands", "break_it", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_start_up_failure_is_one_sentence_and_exit_code_1(
    place: Place, commands: tuple[str, ...], break_it: Break, words: tuple[str, ...]
) -> None:
    break_it(place)
    cannot_start(place, commands, *words)


def test_database_that_cannot_be_written_to(place: Place) -> None:
    with read_only(place.database):
        cannot_start(place, EVERY, "be written to")


def test_data_folder_that_cannot_be_written_to(place: Place) -> None:
    with read_only(place.folder):
        cannot_start(place, EVERY, "data folder", "be written to")


def test_database_that_another_program_keeps_locked(place: Place) -> None:
    place.environment["RANKSCOPE_DATABASE_URL"] = f"sqlite:///{place.database}?timeout=1"
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        cannot_start(place, EVERY, "locked")


def test_port_that_is_taken(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place.environment["RANKSCOPE_PORT"] = str(taken.getsockname()[1])
        cannot_start(place, SERVERS, f"Port {taken.getsockname()[1]} on 127.0.0.1")


def test_password_of_the_broker_is_wrong(place: Place, own_broker: Broker) -> None:
    with redis.Redis(port=own_broker.port) as client:
        client.config_set("requirepass", "right")
    place.environment["RANKSCOPE_BROKER_URL"] = f"redis://:{SECRET}@127.0.0.1:{own_broker.port}/0"
    cannot_start(place, EVERY, "rejects the password")
    place.environment["RANKSCOPE_BROKER_URL"] = own_broker.url
    cannot_start(place, EVERY, "rejects the password")


def test_broker_is_another_kind_of_server(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            while True:
                try:
                    connection, _ = other.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        place.environment["RANKSCOPE_BROKER_URL"] = f"redis://127.0.0.1:{other.getsockname()[1]}/0"
        cannot_start(place, EVERY, "does not respond like a writable Redis")
        other.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_training_stack_is_missing(place: Place, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'torch' else find(name, package)\n"
    )
    place.environment["PYTHONPATH"] = str(hidden)
    cannot_start(place, ("up", "worker"), "training stack is missing", "'torch'", as_installed=True)


def test_the_installed_server_cannot_start(place: Place) -> None:
    """The other installed commands are in the test above."""
    place.sql("ALTER TABLE run DROP COLUMN notes")
    cannot_start(place, ("api",), "'notes'", "damaged", as_installed=True)


def test_an_unreachable_broker_is_reported_in_one_line_and_does_not_stop_the_server(place: Place) -> None:
    place.environment["RANKSCOPE_BROKER_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    process = place.start("api")
    try:
        assert process.stdout is not None
        assert "does not respond" in process.stdout.readline()
        assert "ready" in process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_worker_that_cannot_start_is_reported_once_and_started_again_until_it_can(place: Place) -> None:
    process = place.start("up")
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(iter(process.stdout.readline, ""),))
    reader.start()
    log, pid_file = place.folder / "logs" / "worker.log", place.folder / "pids" / "worker.pid"

    def pid() -> int:
        return int(pid_file.read_text(encoding="utf-8").split()[0])

    def registered() -> int:
        """Process id of the worker that claims runs."""
        with closing(sqlite3.connect(place.database)) as raw:
            found = raw.execute("SELECT pid FROM worker WHERE name = 'local'").fetchone()
        return int(found[0]) if found else 0

    def own_lines() -> list[str]:
        """The worker's own log lines."""
        said = log.read_text(encoding="utf-8").splitlines()
        return [line.partition(" INFO ")[2] for line in said if " INFO Worker local " in line]

    def refusals() -> list[str]:
        return [line for line in log.read_text(encoding="utf-8").splitlines() if "'notes'" in line]

    def reports(word: str) -> list[str]:
        return [line for line in lines if word in line]

    try:
        first = wait_for("the worker to take runs", registered)
        assert first == pid()
        # If Celery could set the level of the root logger, these lines would be missing.
        wait_for("its first line", lambda: own_lines() == ["Worker local takes runs: 1 slot(s), 0 GPU(s)."])
        place.sql("ALTER TABLE run RENAME COLUMN notes TO remarks")
        os.kill(first, signal.SIGKILL)
        wait_for("two starts that fail", lambda: len(refusals()) >= 2)
        assert len(set(refusals())) == 1
        assert [line for line in reports("The worker exited") if "code -9" in line] == reports("code -9")
        (report,) = reports("code 1")
        assert f"The worker exited with code 1: {refusals()[0]}" in report
        assert "damaged. Restore a backup" in report
        assert "will be restarted" in report
        assert process.poll() is None

        place.sql("ALTER TABLE run RENAME COLUMN remarks TO notes")
        wait_for("a worker to take runs again", lambda: registered() not in (0, first))
        wait_for("its first line", lambda: len(own_lines()) == 2)
        assert len(reports("The worker exited")) == 2, lines
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        reader.join(10)
    assert process.returncode == 0, errors
    assert place.processes() == []
    assert "rankscope.nudge" not in log.read_text(encoding="utf-8")
