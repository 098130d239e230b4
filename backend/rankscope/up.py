"""`rankscope up`: everything on one machine, in one command, ended cleanly by Ctrl-C."""

import fcntl
import importlib.util
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from rankscope.catalog import Catalog
from rankscope.contract.errors import RankScopeError, StartupError
from rankscope.contract.presets import presets
from rankscope.embedded import Child, end_leftovers, start_valkey, start_worker
from rankscope.plan import make_plan
from rankscope.serve import bound_socket, prepare_data_dir, serve, sign_in_link
from rankscope.settings import Settings
from rankscope.store import runs, schema
from rankscope.store.engine import create_engine, reading, writing

_log = logging.getLogger(__name__)


def up(settings: Settings, *, with_demo: bool = True, echo: Callable[[str], None] = print) -> None:
    """Serves until Ctrl-C or SIGTERM; StartupError with one sentence when it cannot start."""
    # uvicorn handles both signals and then raises them again: without this, SIGTERM would skip the clean end below.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    prepare_data_dir(settings)
    if importlib.util.find_spec("torch") is None:
        raise StartupError(
            "The training stack is missing. Install it with `pip install 'rankscope[worker]'`, then try again."
        )
    with (
        only_one(settings.data_dir / "up.lock", settings.data_dir),
        bound_socket(settings.host, settings.port) as listener,
    ):
        port = listener.getsockname()[1]
        end_leftovers(settings)
        valkey = None
        if "broker_url" not in settings.model_fields_set:
            valkey = start_valkey(settings)
            settings = settings.model_copy(update={"broker_url": valkey.url})
        servers = [valkey.child] if valkey else []
        try:
            engine = create_engine(settings.resolved_database_url)
            try:
                schema.migrate(engine)
            except SQLAlchemyError as error:
                raise StartupError(f"The database cannot be used: {str(error).splitlines()[0]}") from error
            if with_demo:
                queue_demo(settings, engine_has_runs=_has_runs(settings))
            engine.dispose()
            keeper = WorkerKeeper(settings, echo)
            try:
                address = sign_in_link(settings, port)
                serve(settings, listener, lambda: echo(f"RankScope is ready at {address}"))
            finally:
                echo("Stopping: running runs write a checkpoint and go on at the next start.")
                keeper.stop()
        finally:
            for server in servers:
                server.stop(10)


@contextmanager
def only_one(lock_file: Path, what: Path) -> Iterator[None]:
    """Holds an advisory lock, which the kernel drops when this process ends in whatever way."""
    with lock_file.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartupError(
                f"RankScope already runs on the data folder {what}. Stop it first, or choose another with --data-dir."
            ) from error
        yield


def queue_demo(settings: Settings, *, engine_has_runs: bool) -> None:
    """Queues the demo run on an installation that has never had a run."""
    marker = settings.data_dir / "demo-queued"
    if engine_has_runs or marker.exists():
        return
    demo = presets()[0]
    try:
        plan = make_plan(demo.config, Catalog(settings))
    except RankScopeError:
        return  # the demo's packages are not installed; the page then starts empty and says how to launch a run
    except Exception:
        # A start without the demo is better than none.
        _log.exception("The demo run could not be queued.")
        return
    engine = create_engine(settings.resolved_database_url)
    with writing(engine) as session:
        runs.create_run(
            session, plan.config, now=time.time(), name=f"Demo: {runs.default_name(plan.config)}", tags=["demo"],
            notes="Queued at the first start, so that there is something to watch.",
            environment=plan.environment, total_steps=plan.total_steps,
        )  # fmt: skip
    engine.dispose()
    marker.touch()


def _has_runs(settings: Settings) -> bool:
    engine = create_engine(settings.resolved_database_url)
    with reading(engine) as session:
        has_runs = runs.has_any(session)
    engine.dispose()
    return has_runs


class WorkerKeeper:
    """Keeps one worker process alive: a worker that ended by itself is started again, with a growing pause."""

    def __init__(self, settings: Settings, echo: Callable[[str], None]) -> None:
        self._settings, self._echo = settings, echo
        self._stopping = threading.Event()
        self._child: Child = start_worker(settings)
        self._thread = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        pause_s = 1.0
        while True:
            code = self._child.process.wait()
            if self._stopping.wait(pause_s):
                return
            self._echo(f"The worker ended with code {code}; it is started again. See {self._child.log}")
            self._child = start_worker(self._settings)
            pause_s = min(pause_s * 2, 60)

    def stop(self) -> None:
        """Drains: children write their checkpoints, runs go back to the queue."""
        self._stopping.set()
        self._child.stop(self._settings.stop_grace_s + 10)
        self._thread.join(5)
