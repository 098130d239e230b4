"""Supervisor: runs one training process for one attempt, from its start to the run's new status. Never imports torch.

It renews the lease, passes on stop and steering requests, and kills a process that does not respond.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine, make_url

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import LeaseLost, RankScopeError
from rankscope.contract.status import RunStatus
from rankscope.data_folder import open_to_append
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.queue import Claim, renew_lease
from rankscope_worker.database_retries import DATABASE_ERRORS, retry_on_database_errors
from rankscope_worker.exit_report import ExitCode, read_note
from rankscope_worker.host.child_process import ChildProcess
from rankscope_worker.host.endings import Ending, StopOrigin, classify, write_ending
from rankscope_worker.host.forks import Child, Forks
from rankscope_worker.host.gpus import Gpu
from rankscope_worker.host.log_file import MAX_BYTES, bound_log
from rankscope_worker.host.memory import oom_kills
from rankscope_worker.steer_requests import SteerRequest

_log = logging.getLogger(__name__)

_SAVE, _NOW, _KILL = 1, 2, 3
"""How urgently the child must stop. It only increases."""
_SIGNALS = {_SAVE: signal.SIGTERM, _NOW: signal.SIGUSR1}
_DRAINED = Ending(None, "worker_drained", "Its worker was shut down.")
_OUTDATED = Ending(None, "worker_outdated", "RankScope was upgraded while its worker was starting it.")


class Supervisor:
    """Runs in a thread of the worker. `drain` and `kill` may be called from anywhere, including signal handlers."""

    max_log_bytes = MAX_BYTES

    def __init__(
        self,
        engine: Engine,
        doorbell: Doorbell,
        settings: Settings,
        claim: Claim,
        gpu: Gpu | None,
        threads: int,
        forks: Forks | None = None,
    ) -> None:
        self.claim = claim
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._gpu = gpu
        self._threads = threads
        self._forks = forks or Forks()
        self._folder = settings.attempt_dir(claim.run_id, claim.attempt).absolute()
        self._log = self._folder / "log.txt"
        self._wake = threading.Event()
        self._is_draining = False
        self._must_kill = False
        self._user_stop = 0
        self._sent = 0
        self._kill_at = float("inf")
        self._stop_origin: StopOrigin = "none"
        self._killed_after_s: float | None = None
        self._sent_requests: set[str] = set()

    def drain(self) -> None:
        """Requests that the child save and exit because the worker is shutting down; the run waits to be resumed."""
        self._is_draining = True
        self._wake.set()

    def kill(self) -> None:
        """Kills the child because the worker shuts down immediately."""
        self._is_draining = self._must_kill = True
        self._wake.set()

    def run(self) -> None:
        """Runs the child until it has ended, and stores the run's status unless it belongs to another attempt."""
        claim = self.claim
        try:
            ending = self._supervise()
            status, last_seq = retry_on_database_errors(
                partial(write_ending, self._engine, claim, ending, self._settings.max_lost_workers),
                lambda: self._must_kill,
            )
        except LeaseLost as error:
            _log.warning("Run %s, attempt %d: %s", claim.run_id, claim.attempt, error)
            return
        self._doorbell.ring(claim.run_id, last_seq)
        _log.info("Run %s, attempt %d: %s. %s", claim.run_id, claim.attempt, status, ending.message or "")

    def _supervise(self) -> Ending:
        if self._is_draining:
            return _DRAINED
        claim, kills_before = self.claim, oom_kills()
        child = ChildProcess(self._open_log_and_start, self._wake, f"Run {claim.run_id}, attempt {claim.attempt}")
        try:
            self._watch(child)
        finally:
            # Kill the child's children too: after a lost lease, nothing of this attempt may continue.
            code = child.end()
        if child.error is not None:
            return Ending(
                RunStatus.failed,
                "error",
                f"The training process can't be started: {child.error}",
                "Check the data folder's free space and permissions, then resume the run.",
            )
        if code is None and self._is_draining:
            return _DRAINED
        note = read_note(self._folder)
        # An upgrade in the middle of the child's imports ends it with any error, but without a note.
        is_failure = code in (ExitCode.error, ExitCode.other_code) and note is None
        if is_failure and self._stop_origin == "none" and self._forks.installation.is_outdated():
            return _OUTDATED
        return classify(
            -signal.SIGKILL if code is None else code,
            self._stop_origin,
            note,
            self._log,
            claim.config,
            self._killed_after_s,
            was_out_of_memory=oom_kills() > kills_before,
        )

    def _open_log_and_start(self, is_wanted: Callable[[], bool]) -> Child | None:
        runs_dir = self._settings.runs_dir.absolute()
        runs_dir.mkdir(parents=True, exist_ok=True)
        # Never follow a link: a run's folder may come from a backup, so it could point to any file.
        with open(open_to_append(runs_dir, self._log), "ab") as output:
            return self._start(output.fileno(), is_wanted)

    def _start(self, output: int, is_wanted: Callable[[], bool]) -> Child | None:
        """Returns None if `is_wanted` returned False before the child started."""
        return self._forks.start(
            "train",
            [self.claim.run_id, str(self.claim.attempt)],
            folder=self._folder,
            environment=child_environment(self._settings, self._gpu, self._threads),
            output=output,
            # Forks that use a GPU have not been tested.
            may_fork=self._gpu is None and not self._is_quantised(),
            is_wanted=is_wanted,
        )

    def _is_quantised(self) -> bool:
        try:
            config = RunConfig.stored(self.claim.config)
            return config.model.quantization != "none" or Catalog(self._settings).model(config.model.id).is_quantised
        except (RankScopeError, OSError, ValueError):
            return False  # the child hits the same error, and reports it

    def _watch(self, child: ChildProcess) -> None:
        """Until the child ends, renews the lease four times per period, and checks for requests every second."""
        renew_every_s = self._settings.lease_s / 4
        look_every_s = min(1.0, renew_every_s)
        renewed_at = time.monotonic()
        renew_at = look_at = renewed_at
        while not child.has_ended:
            now = time.monotonic()
            try:
                if now >= renew_at:
                    self._set_user_stop(self._renew())
                    renewed_at, renew_at, look_at = now, now + renew_every_s, now + look_every_s
                elif now >= look_at:
                    self._set_user_stop(self._read_requests(child))
                    look_at = now + look_every_s
            except DATABASE_ERRORS as error:
                if time.monotonic() > renewed_at + self._settings.lease_s:
                    raise LeaseLost("The database was unreachable until the lease expired.") from error
                look_at = renew_at = now + min(1.0, look_every_s)
            self._send_stop(child)
            bound_log(self._log, self.max_log_bytes)
            self._wake.wait(max(0.0, min(renew_at, look_at, self._kill_at) - time.monotonic()))
            self._wake.clear()

    def _renew(self) -> str | None:
        with writing(self._engine) as session:
            return renew_lease(
                session, self.claim.run_id, self.claim.attempt, lease_s=self._settings.lease_s, now=time.time()
            )

    def _read_requests(self, child: ChildProcess) -> str | None:
        """Passes new steering requests on to the child. Returns the requested stop, or None."""
        with reading(self._engine) as session:
            run = runs.get_run(session, self.claim.run_id)
            if run.attempt != self.claim.attempt:
                return None
            stop, requests = run.stop_requested, run.steer_requests
        if not child.has_started:
            return stop
        for request in requests:
            if request["id"] not in self._sent_requests:
                self._sent_requests.add(request["id"])
                self._send(child, SteerRequest(request["id"], request["action"], request.get("target_rank")))
        return stop

    def _send(self, child: ChildProcess, request: SteerRequest) -> None:
        try:
            child.write(request.as_line())
        except OSError as error:  # the child is ending; the request stays in the database for the next attempt
            _log.info("Run %s no longer accepts requests: %s", self.claim.run_id, error)

    def _set_user_stop(self, stop: str | None) -> None:
        self._user_stop = {None: 0, "save": _SAVE, "now": _NOW}.get(stop, 0)

    def _send_stop(self, child: ChildProcess) -> None:
        """Passes the most urgent stop request on to the child, and kills it after the grace period."""
        wanted = max(self._user_stop, _SAVE if self._is_draining else 0, _KILL if self._must_kill else 0)
        if wanted and self._stop_origin == "none":
            self._kill_at = time.monotonic() + self._settings.stop_grace_s
        if self._user_stop:
            self._stop_origin = "user"
        elif wanted:
            self._stop_origin = "drain"
        if time.monotonic() >= self._kill_at:
            self._killed_after_s = self._settings.stop_grace_s
            wanted = _KILL
        if wanted <= self._sent:
            return
        if wanted == _KILL or (self._is_draining and not child.has_started):
            self._sent, self._kill_at = _KILL, float("inf")
            child.kill()
        elif child.has_started:  # otherwise it is sent once the child has started
            self._sent = wanted
            child.send_signal(_SIGNALS[wanted])


HUB_VARIABLES = ("HF_TOKEN", "RANKSCOPE_HF_TOKEN", "HF_HUB_OFFLINE")
"""Environment variables of the worker that only hub downloads get: a training doesn't need a token."""


def child_environment(settings: Settings, gpu: Gpu | None, threads: int) -> dict[str, str]:
    """Returns the child's environment variables, with absolute paths, its GPU, and its share of the cores."""
    environment = {name: value for name, value in os.environ.items() if name not in HUB_VARIABLES}
    environment |= settings.as_environment()
    environment.update(
        CUDA_VISIBLE_DEVICES=gpu.uuid if gpu else "",
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
        PYTHONUNBUFFERED="1",
        RANKSCOPE_DATABASE_URL=_absolute(settings.resolved_database_url),
    )
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    # Spinning threads make a step five times slower on a busy machine (measured on 2 cores).
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # NumPy and Arrow start threads when they are imported, and a process with threads can't be forked safely. Trainings
    # don't use their multithreaded arithmetic.
    environment.update(OPENBLAS_NUM_THREADS="1", JE_ARROW_MALLOC_CONF="background_thread:false")
    return environment


def _absolute(database_url: str) -> str:
    """Returns the database URL for a process with a different working directory."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=os.path.abspath(url.database))
    return url.render_as_string(hide_password=False)
