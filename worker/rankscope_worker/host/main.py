"""One worker process: `python -m rankscope_worker [--slots N] [--name NAME]`, or `rankscope worker`."""

import argparse
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import quote

import celery.worker.state
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope import __version__
from rankscope.contract.errors import StartupError
from rankscope.contract.jobs import LANES
from rankscope.data_folder import check_data_dir, in_use, keep_files_private, locked
from rankscope.settings import Settings, read_settings
from rankscope.store import jobs, workers
from rankscope.store.database.engine import writing
from rankscope.store.database.readiness import check_broker, line_of
from rankscope.store.doorbell import Doorbell
from rankscope.store.queue import release_worker
from rankscope.training_stack import check_training_stack
from rankscope_worker.database_retries import DATABASE_ERRORS
from rankscope_worker.host.celery_app import QUEUE, Nudger, keep_own_logging, make_celery, own_queue
from rankscope_worker.host.claims import register
from rankscope_worker.host.database import open_database
from rankscope_worker.host.gpus import GpuReader
from rankscope_worker.host.heartbeat import Heartbeat
from rankscope_worker.host.host import Host
from rankscope_worker.host.jobs import JobRunner
from rankscope_worker.host.memory import host_memory

_log = logging.getLogger(__name__)

_MAX_SLOTS = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until a signal ends it. Returns the exit code; a start-up failure is one sentence on stderr."""
    keep_files_private()
    try:
        arguments = _parse(argv)
        settings = read_settings(worker_name=arguments.name)
        settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
        name = settings.worker_name or socket.gethostname()
        check_data_dir(settings.data_dir)
        with in_use(settings.data_dir), _lock_of(settings.data_dir, name):
            check_training_stack()
            database = open_database(settings)
            notice = check_broker(settings.broker_url)
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
            if notice:
                _log.warning("%s", notice)
            return _work(_host(settings, database, name, arguments.slots))
    except (StartupError, SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"{line_of(error)}\n")
        return 1


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one sentence, like every other start-up failure."""

    def error(self, message: str) -> NoReturn:
        raise StartupError(f"{message[:1].upper()}{message[1:]}. See `rankscope worker --help`.")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="rankscope worker", description="Takes waiting runs and trains them.")
    parser.add_argument(
        "--slots",
        type=_slots,
        help="number of runs at a time; default: RANKSCOPE_MAX_RUNS_PER_GPU for each GPU, or 1 without GPUs",
    )
    parser.add_argument("--name", help="unique name of this worker; default: the host name")
    return parser.parse_args(argv)


def _slots(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= _MAX_SLOTS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MAX_SLOTS}")
    return int(text)


def _lock_of(data_dir: Path, name: str) -> AbstractContextManager[None]:
    """The lock of this worker's name."""
    return locked(
        data_dir / f"worker-{quote(name, safe='')}.lock",
        f"A worker named {name!r} is already running; stop it, or give this one another name with --name.",
    )


def _host(settings: Settings, engine: Engine, name: str, slots: int | None) -> Host:
    gpu_reader = GpuReader()
    gpus = gpu_reader.read()
    host = Host(
        name=name,
        settings=settings,
        engine=engine,
        doorbell=Doorbell(settings.broker_url),
        celery=make_celery(settings, own_queue(name)),
        nudger=Nudger(settings, own_queue(name)),
        slots=slots or len(gpus) * settings.max_runs_per_gpu or 1,
        gpus=gpus,
        gpu_reader=gpu_reader,
    )
    shutil.rmtree(host.jobs_folder, ignore_errors=True)
    now = time.time()
    pid, host_name, report, memory = os.getpid(), socket.gethostname(), host.gpu_report(), host_memory()
    with writing(engine) as session:
        released = release_worker(session, name, now=now, max_lost_workers=settings.max_lost_workers)
        requeued = jobs.release_worker(session, name, now=now)
        workers.register(
            session,
            name=name,
            host=host_name,
            pid=pid,
            version=__version__,
            slots=host.slots,
            gpus=report,
            now=now,
            memory=memory,
        )
    for run_id in released:
        _log.warning("Run %s belonged to an earlier worker %s; it waits to be resumed.", run_id, name)
    for job_id in requeued:
        _log.warning("Job %s belonged to an earlier worker %s.", job_id, name)
    return host


def _work(host: Host) -> int:
    """Serves until a signal, then waits until the training processes have saved and exited."""
    register(host)
    keep_own_logging()
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
    # Replaces Celery's handlers, which end threads differently for TERM, INT and a second INT.
    worker.install_platform_tweaks = lambda _worker: _on_signals(host)
    worker.set_process_status = lambda _info: None  # with setproctitle installed, Celery would rename this process
    heartbeat, job_runners = Heartbeat(host), [JobRunner(host, kinds) for kinds in LANES]
    heartbeat.start()
    for job_runner in job_runners:
        job_runner.start()
    _log.info("Worker %s takes runs: %d slot(s), %d GPU(s).", host.name, host.slots, len(host.gpus))
    try:
        worker.start()
    finally:
        host.stop()
        heartbeat.stop()
        for job_runner in job_runners:
            job_runner.stop()
        host.forks.stop()
        with contextlib.suppress(*DATABASE_ERRORS), writing(host.engine) as session:
            workers.mark_stopped(session, host.name, now=time.time())
        host.engine.dispose()
    _log.info("Worker %s has ended.", host.name)
    return int(worker.exitcode or 0)


def _on_signals(host: Host) -> None:
    """TERM, INT and HUP: training processes save and exit, then the worker ends. A second signal kills them."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        host.stop()
        celery.worker.state.should_stop = 0

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
