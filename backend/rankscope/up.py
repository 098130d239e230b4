"""`rankscope up`: everything on one machine with one command; Ctrl-C stops it cleanly."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator

from rankscope.catalog import Catalog
from rankscope.contract.errors import RankScopeError, StartupError
from rankscope.contract.presets import presets
from rankscope.data_folder import in_use, locked, prepare_data_dir
from rankscope.embedded import Child, end_leftovers, start_valkey, start_worker
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import stored_estimate
from rankscope.serve import bound_socket, serve, sign_in_link
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.readiness import check_broker, open_database
from rankscope.training_stack import check_training_stack

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
"""Pauses between two starts of a worker that exits unexpectedly."""

_log = logging.getLogger(__name__)


def up(settings: Settings, *, with_demo: bool = True, echo: Callable[[str], None] = print) -> None:
    """Serves until Ctrl-C or SIGTERM. Raises StartupError with one sentence if it can't start."""
    # uvicorn handles both signals and then raises them again. Without this, SIGTERM would skip the clean shutdown below.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    notices = prepare_data_dir(settings)
    check_training_stack()
    with (
        locked(
            settings.data_dir / "up.lock",
            f"RankScope already runs on the data folder {settings.data_dir}. Stop it, or choose another folder with --data-dir.",
        ),
        in_use(settings.data_dir),
        bound_socket(settings.host, settings.port) as listener,
    ):
        link = sign_in_link(settings, listener)
        end_leftovers(settings)
        open_database(settings.resolved_database_url, migrates=True).dispose()
        valkey = None
        if "broker_url" not in settings.model_fields_set:
            valkey = start_valkey(settings)
            settings = settings.model_copy(update={"broker_url": valkey.url})
        try:
            for notice in (*notices, check_broker(settings.broker_url)):
                if notice:
                    echo(notice)
            if with_demo:
                queue_demo(settings, engine_has_runs=_has_runs(settings))
            keeper = WorkerKeeper(settings, echo)
            try:
                serve(settings, listener, lambda: echo(f"RankScope is ready at {link}"))
            finally:
                echo("Stopping. Running runs write a checkpoint and continue at the next start.")
                keeper.stop()
        finally:
            if valkey:
                valkey.child.stop(10)


def queue_demo(settings: Settings, *, engine_has_runs: bool) -> None:
    """Queues the demo run if the installation has never had a run."""
    marker = settings.data_dir / "demo-queued"
    if engine_has_runs or marker.exists():
        return
    demo = presets()[0]
    try:
        plan = make_plan(demo.config, Catalog(settings))
    except RankScopeError:
        return  # the demo's packages are not installed: the page starts without runs and shows how to launch one
    except Exception:
        # Start without the demo.
        _log.exception("Failed to queue the demo run.")
        return
    engine = create_engine(settings.resolved_database_url)
    now = time.time()
    estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
    with writing(engine) as session:
        runs.create_run(
            session,
            plan.config,
            now=now,
            name=f"Demo: {runs.default_name(plan.config)}",
            tags=["demo"],
            notes="Queued at the first start as an example.",
            environment=plan.environment,
            total_steps=plan.total_steps,
            memory_estimate=estimate,
        )
    engine.dispose()
    marker.touch()


def _has_runs(settings: Settings) -> bool:
    engine = create_engine(settings.resolved_database_url)
    with reading(engine) as session:
        has_runs = runs.has_any(session)
    engine.dispose()
    return has_runs


def growing_pauses() -> Iterator[float]:
    """Yields twice the previous pause each time, up to the longest one."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


class WorkerKeeper:
    """Keeps one worker process running: restarts it with exponential backoff if it exits unexpectedly."""

    def __init__(
        self,
        settings: Settings,
        echo: Callable[[str], None],
        start: Callable[[Settings], Child] = start_worker,
        pauses: Callable[[], Iterator[float]] = growing_pauses,
    ) -> None:
        """`pauses` returns the seconds between an exit and the next start, one after the other."""
        self._settings, self._echo = settings, echo
        self._start, self._pauses = start, pauses
        self._stopping = threading.Event()
        self._child = start(settings)
        self._thread = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        pauses, reported = self._pauses(), ""
        while True:
            started = time.monotonic()
            code = self._child.process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > _LONGEST_PAUSE_S:
                pauses, reported = self._pauses(), ""
            reason = self._child.last_line() if code == 1 else ""
            text = f"The worker exited with code {code}: {reason or 'see ' + str(self._child.log)}"
            if text != reported:  # report the same reason only once
                self._echo(f"{text} It will be restarted, at most every {_LONGEST_PAUSE_S:.0f} seconds.")
                reported = text
            if not self._start_again(next(pauses)):
                return

    def _start_again(self, pause_s: float) -> bool:
        """Starts the worker again, and retries until it succeeds. Returns False if `stop` was called."""
        while not self._stopping.wait(pause_s):
            try:
                self._child = self._start(self._settings)
                return True
            except (OSError, StartupError) as error:
                self._echo(f"The worker can't be started ({error}).")
                pause_s = _LONGEST_PAUSE_S
        return False

    def stop(self) -> None:
        """Drains the worker: training processes write their checkpoints, and runs go back to the queue."""
        self._stopping.set()
        self._child.stop(self._settings.stop_grace_s + 10)
        self._thread.join(5)
