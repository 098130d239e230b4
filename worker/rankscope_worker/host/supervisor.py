"""Supervisor: runs one training process for one attempt, from its start to the run's new status. Never imports torch.

It renews the lease, passes on stop and steering requests, and kills a process that does not respond.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

from sqlalchemy import Engine, make_url

from rankscope.contract.errors import LeaseLost
from rankscope.contract.status import RunStatus
from rankscope.data_folder import open_to_append
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.queue import Claim, renew_lease
from rankscope_worker.database_retries import DATABASE_ERRORS, retry_on_database_errors
from rankscope_worker.exit_report import read_note
from rankscope_worker.host.endings import Ending, StopOrigin, classify, write_ending
from rankscope_worker.host.gpus import Gpu
from rankscope_worker.host.log_file import MAX_BYTES, bound_log
from rankscope_worker.host.memory import oom_kills
from rankscope_worker.steer_requests import SteerRequest

_log = logging.getLogger(__name__)

_SAVE, _NOW, _KILL = 1, 2, 3
"""How urgently the child must stop. It only increases."""
_SIGNALS = {_SAVE: signal.SIGTERM, _NOW: signal.SIGUSR1}


class Supervisor:
    """Runs in a thread of the worker. `drain` and `kill` may be called from anywhere, including signal handlers."""

    max_log_bytes = MAX_BYTES

    def __init__(
        self, engine: Engine, doorbell: Doorbell, settings: Settings, claim: Claim, gpu: Gpu | None, threads: int
    ) -> None:
        self.claim = claim
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._gpu = gpu
        self._threads = threads
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
        """Requests that the child saves and exits because the worker is shutting down; the run waits to be resumed."""
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
            return Ending(None, "worker_drained", "Its worker was shut down.")
        kills_before = oom_kills()
        try:
            runs_dir = self._settings.runs_dir.absolute()
            runs_dir.mkdir(parents=True, exist_ok=True)
            # Never follow a link: a run's folder may come from a backup, so it could point to any file.
            with open(open_to_append(runs_dir, self._log), "ab") as output:
                child = self._start(output.fileno())
        except OSError as error:
            return Ending(
                RunStatus.failed,
                "error",
                f"The training process can't be started: {error}",
                "Check the data folder's free space and permissions, then resume the run.",
            )
        _log.info("Run %s, attempt %d: process %d.", self.claim.run_id, self.claim.attempt, child.pid)
        waiter = threading.Thread(
            target=self._wait_for_exit, args=(child,), name=f"await-{self.claim.run_id}", daemon=True
        )
        waiter.start()
        try:
            self._watch(child)
        finally:
            # Kill the child's children too: after a lost lease, nothing of this attempt may continue.
            _kill_group(child)
            code = child.wait()
            if child.stdin:
                child.stdin.close()
        return classify(
            code,
            self._stop_origin,
            read_note(self._folder),
            self._log,
            self.claim.config,
            self._killed_after_s,
            was_out_of_memory=oom_kills() > kills_before,
        )

    def _start(self, output: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "rankscope_worker.child.train", self.claim.run_id, str(self.claim.attempt)]
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=child_environment(self._settings, self._gpu, self._threads),
            # Stays open while this process lives: when it closes, the child knows that its supervisor has ended.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _wait_for_exit(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        self._wake.set()

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """Until the child ends, renews the lease four times per period, and checks for requests every second."""
        renew_every_s = self._settings.lease_s / 4
        look_every_s = min(1.0, renew_every_s)
        renewed_at = time.monotonic()
        renew_at = look_at = renewed_at
        while child.poll() is None:
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

    def _read_requests(self, child: subprocess.Popen[bytes]) -> str | None:
        """Passes new steering requests on to the child. Returns the requested stop, or None."""
        with reading(self._engine) as session:
            run = runs.get_run(session, self.claim.run_id)
            if run.attempt != self.claim.attempt:
                return None
            stop, requests = run.stop_requested, run.steer_requests
        for request in requests:
            if request["id"] not in self._sent_requests:
                self._sent_requests.add(request["id"])
                self._send(child, SteerRequest(request["id"], request["action"], request.get("target_rank")))
        return stop

    def _send(self, child: subprocess.Popen[bytes], request: SteerRequest) -> None:
        if child.stdin is None:
            return
        try:
            child.stdin.write(request.as_line())
            child.stdin.flush()
        except OSError as error:  # the child is ending; the request stays in the database for the next attempt
            _log.info("Run %s no longer accepts requests: %s", self.claim.run_id, error)

    def _set_user_stop(self, stop: str | None) -> None:
        self._user_stop = {None: 0, "save": _SAVE, "now": _NOW}.get(stop, 0)

    def _send_stop(self, child: subprocess.Popen[bytes]) -> None:
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
        self._sent = wanted
        if wanted == _KILL:
            self._kill_at = float("inf")
            _kill_group(child)
        else:
            child.send_signal(_SIGNALS[wanted])


HUB_VARIABLES = ("HF_TOKEN", "RANKSCOPE_HF_TOKEN", "HF_HUB_OFFLINE")
"""Only downloads from the hub get these of the worker's environment: a training has no use for a token."""


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
    return environment


def _absolute(database_url: str) -> str:
    """Returns the database URL for a process with a different working directory."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=os.path.abspath(url.database))
    return url.render_as_string(hide_password=False)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Sends SIGKILL to the child and all processes that it started; does nothing if they have ended."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
