"""One worker process: `python -m rankscope_worker [--slots N] [--name NAME]`, or `rankscope worker`."""

import argparse
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import celery.worker.state
from pydantic import ValidationError

from rankscope import __version__
from rankscope.contract.errors import StartupError
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.doorbell import Doorbell
from rankscope.store.engine import writing
from rankscope.store.queue import release_worker
from rankscope_worker.celery_app import QUEUE, Nudger, make_celery, own_queue
from rankscope_worker.database import open_database
from rankscope_worker.gpus import list_gpus
from rankscope_worker.heartbeat import Heartbeat
from rankscope_worker.host import Host
from rankscope_worker.patience import DATABASE_TROUBLE
from rankscope_worker.predictor import Predictor
from rankscope_worker.tasks import register

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Works until a signal ends it. Returns the exit code; what keeps it from starting is one sentence on stderr."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = Settings()
        settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
        name = arguments.name or settings.worker_name or socket.gethostname()
        with _only_one(settings.data_dir, name):
            return _work(_host(settings, name, arguments.slots))
    except (StartupError, ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rankscope_worker", description="Takes waiting runs and trains them.")
    parser.add_argument(
        "--slots", type=_positive, help="runs at a time; default: RANKSCOPE_MAX_RUNS_PER_GPU for each GPU, else 1"
    )
    parser.add_argument("--name", help="name of this worker, one of a kind; default: the host's name")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


@contextlib.contextmanager
def _only_one(data_dir: Path, name: str) -> Iterator[None]:
    """Holds the lock of this worker's name; it goes with the process, however that ends."""
    path = data_dir / f"worker-{quote(name, safe='')}.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StartupError(f"The data folder {data_dir} cannot be written: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartupError(
                f"A worker named {name!r} runs already; stop it, or give this one another name with --name."
            ) from error
        yield


def _host(settings: Settings, name: str, slots: int | None) -> Host:
    engine = open_database(settings)
    gpus = list_gpus()
    host = Host(
        name=name,
        settings=settings,
        engine=engine,
        doorbell=Doorbell(settings.broker_url),
        celery=make_celery(settings),
        nudger=Nudger(settings, own_queue(name)),
        slots=slots or len(gpus) * settings.max_runs_per_gpu or 1,
        gpus=gpus,
    )
    now = time.time()
    pid, host_name, report = os.getpid(), socket.gethostname(), host.gpu_report()
    with writing(engine) as session:
        released = release_worker(session, name, now=now, max_lost_workers=settings.max_lost_workers)
        workers.register(
            session, name=name, host=host_name, pid=pid, version=__version__, slots=host.slots,
            gpus=report, now=now,
        )  # fmt: skip
    for run_id in released:
        _log.warning("Run %s was left by an earlier worker %s; it waits to be resumed.", run_id, name)
    return host


def _work(host: Host) -> int:
    """Serves until a signal; then waits for the children to save and leave."""
    register(host)
    worker = host.celery.Worker(
        hostname=f"{host.name}@{socket.gethostname()}",
        pool="threads",
        concurrency=host.slots,
        queues=[QUEUE, own_queue(host.name)],
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    # In place of Celery's own handlers, which end threads differently for TERM, INT and a second INT.
    worker.install_platform_tweaks = lambda _worker: _on_signals(host)
    heartbeat, predictor = Heartbeat(host), Predictor(host)
    heartbeat.start()
    predictor.start()
    _log.info("Worker %s takes runs: %d slot(s), %d GPU(s).", host.name, host.slots, len(host.gpus))
    try:
        worker.start()
    finally:
        host.stop()
        heartbeat.stop()
        predictor.stop()
        with contextlib.suppress(*DATABASE_TROUBLE), writing(host.engine) as session:
            workers.mark_stopped(session, host.name, now=time.time())
        host.engine.dispose()
    _log.info("Worker %s has ended.", host.name)
    return int(worker.exitcode or 0)


def _on_signals(host: Host) -> None:
    """TERM, INT and HUP: children save and leave, then the worker ends. A second one kills the children."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        host.stop()
        celery.worker.state.should_stop = 0

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
