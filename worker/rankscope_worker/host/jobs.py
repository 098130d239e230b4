"""Jobs: runs background jobs of one lane, one at a time. Never imports torch.

A thread looks for jobs, independently of the Celery worker for trainings, which consumes nothing while its slots are
full, possibly for hours. A child process does the work. It runs on the CPU and outside the slots, so that it doesn't
use the GPU memory of trainings. If the kind of job takes a slot, it gets the slot's GPU, as a run would.
"""

import json
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypedDict

from rankscope.contract.errors import LeaseLost
from rankscope.contract.jobs import DOWNLOADS, IMPORTS, SHORT, JobKind
from rankscope.contract.stored import Payload, StoredError
from rankscope.store import jobs
from rankscope.store.database.engine import reading, writing
from rankscope.store.doorbell import JobBell
from rankscope.store.jobs import JobClaim
from rankscope_worker.database_retries import DATABASE_ERRORS, retry_on_database_errors
from rankscope_worker.host.child_process import ChildProcess
from rankscope_worker.host.claims import nudge_if_waiting
from rankscope_worker.host.endings import last_error_line
from rankscope_worker.host.forks import Child
from rankscope_worker.host.gpus import Gpu
from rankscope_worker.host.host import Host
from rankscope_worker.host.log_file import bound_log
from rankscope_worker.host.memory import oom_kills
from rankscope_worker.host.supervisor import HUB_VARIABLES, child_environment

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_PAUSE_S = 1.0
_JOIN_S = 10.0
_MAX_ANSWER_BYTES = 64 << 20


class _Failure(NamedTuple):
    message: str
    next_step: str | None


class JobRunner:
    """Call `start` and `stop` once each. The thread ends by itself soon after the host begins to drain.

    `kinds`: the kinds of its lane, of which all or none take a slot.
    """

    def __init__(self, host: Host, kinds: dict[str, JobKind] = SHORT | IMPORTS | DOWNLOADS) -> None:
        self._host = host
        self._kinds = kinds
        self._bell = JobBell(host.settings.broker_url)
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._wake = threading.Event()
        """Set when a child has started or ended."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the thread, which ends within a second once the host drains."""
        self._thread.join(_JOIN_S)
        self._bell.close()

    def _serve(self) -> None:
        look_at = 0.0
        while not self._host.is_draining:
            try:
                self._bell.listen()
                rang = self._bell.wait(0.0 if time.monotonic() >= look_at else _PAUSE_S)
                if not rang and time.monotonic() < look_at:
                    continue
                while not self._host.is_draining and self.run_next():
                    pass
                look_at = time.monotonic() + self._host.settings.lease_s / 6
            except DATABASE_ERRORS as error:
                _log.warning("The database does not respond; no job is claimed now: %s", error)
                time.sleep(_PAUSE_S)
            except Exception:
                _log.exception("A job failed; continuing with the next one.")
                time.sleep(_PAUSE_S)

    def run_next(self) -> bool:
        """Runs the job that has waited the longest. Returns False if there is none."""
        host = self._host
        with reading(host.engine) as session:
            if not jobs.is_waiting(session, list(self._kinds), has_gpu=host.has_gpu):
                return False
        if host.is_outdated():
            return False
        if not any(kind.takes_slot for kind in self._kinds.values()):
            return self._claim_and_run(None)
        slot = host.take_slot()
        if slot is None:
            return False
        try:
            return self._claim_and_run(slot.gpu)
        finally:
            host.release_slot(slot)
            nudge_if_waiting(host)  # a run that was launched meanwhile has found the slot taken

    def _claim_and_run(self, gpu: Gpu | None) -> bool:
        host = self._host
        with writing(host.engine) as session:
            claim = jobs.claim_next(
                session,
                worker=host.name,
                kinds=list(self._kinds),
                lease_s=host.settings.lease_s,
                now=time.time(),
                has_gpu=host.has_gpu,
            )
        if claim is None:
            return False
        try:
            self._run(claim, gpu)
        except LeaseLost:
            _log.warning("Job %s was taken over or deleted; attempt %d of it ends.", claim.id, claim.attempt)
        return True

    def _run(self, claim: JobClaim, gpu: Gpu | None = None) -> None:
        """Runs the job in a child process and stores its result. Raises LeaseLost."""
        kills_before = oom_kills()
        jobs_folder = self._host.jobs_folder.absolute()
        jobs_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=jobs_folder) as folder:
            log, answer = Path(folder, "log.txt"), _Answer(Path(folder, "answer.jsonl"))
            start = partial(self._start, claim, gpu, Path(folder), log, answer)
            child = ChildProcess(start, self._wake, f"Job {claim.id}, attempt {claim.attempt}")
            try:
                failure = self._wait(child, claim, answer, log)
            finally:
                code = child.end()
            outcome = failure or answer.outcome()
            if outcome is None and child.error is not None:
                outcome = _Failure(f"{claim.kind.process} can't be started: {child.error}", claim.kind.retry)
            # An upgrade in the middle of the child's imports ends it with any error; the next worker runs the job.
            is_given_back = self._host.is_draining or (outcome is None and self._host.is_outdated())
            if outcome is None and code is not None and not is_given_back:
                was_out_of_memory = oom_kills() > kills_before
                outcome = _explain(claim.kind, code, last_error_line(log), was_out_of_memory=was_out_of_memory)
        if isinstance(outcome, _Failure):
            _log.warning("Job %s (%s) failed: %s", claim.id, claim.kind.name, outcome.message)
        self._store(claim, outcome)

    def _environment(self, kind: JobKind, gpu: Gpu | None = None) -> dict[str, str]:
        environment = child_environment(self._host.settings, gpu, self._host.threads_a_slot)
        if kind.uses_hub:
            environment |= {name: os.environ.get(name, "") for name in HUB_VARIABLES}
        return environment

    def _start(
        self,
        claim: JobClaim,
        gpu: Gpu | None,
        folder: Path,
        log: Path,
        answer: "_Answer",
        is_wanted: Callable[[], bool],
    ) -> Child | None:
        """Returns None if `is_wanted` returned False before the child started. Raises OSError."""
        payload = folder / "payload.json"
        payload.write_text(json.dumps(claim.payload), encoding="utf-8")
        with log.open("ab") as output:
            return self._host.forks.start(
                "job",
                [claim.kind.name, str(payload), str(answer.path)],
                folder=folder,
                environment=self._environment(claim.kind, gpu),
                output=output.fileno(),
                may_fork=claim.kind.imports_torch and gpu is None,
                is_wanted=is_wanted,
            )

    def _wait(self, child: ChildProcess, claim: JobClaim, answer: "_Answer", log: Path) -> _Failure | None:
        """Waits until the child ends (None), or returns why it must be ended. Renews the lease; raises LeaseLost."""
        lease_s = self._host.settings.lease_s
        until, renew_at = time.monotonic() + claim.kind.timeout_s, time.monotonic() + lease_s / 6
        while not child.has_ended and not self._host.is_draining:
            now = time.monotonic()
            if now > until:
                return _Failure(f"There was no result within {claim.kind.timeout_s:.0f} s.", claim.kind.retry)
            if now > renew_at:
                renew_at = now + lease_s / 6
                self._renew(claim, answer.progress())
            bound_log(log)
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
        return None

    def _renew(self, claim: JobClaim, progress: float | None) -> None:
        lease_s = self._host.settings.lease_s
        try:
            with writing(self._host.engine) as session:
                jobs.renew(session, claim, lease_s=lease_s, now=time.time(), progress=progress)
        except DATABASE_ERRORS as error:
            _log.warning("The database does not respond; the lease of job %s was not renewed: %s", claim.id, error)

    def _store(self, claim: JobClaim, outcome: "Payload | _Failure | None") -> None:
        """Stores a result or an error; None returns the job to the queue. Retries database errors for one lease period."""
        failure = outcome if isinstance(outcome, _Failure) else None
        result = None if isinstance(outcome, _Failure) else outcome
        until = time.monotonic() + self._host.settings.lease_s

        def store() -> None:
            with writing(self._host.engine) as session:
                if failure is not None:
                    jobs.fail(session, claim, failure.message, failure.next_step, now=time.time())
                elif result is not None:
                    jobs.finish(session, claim, result, now=time.time())
                else:
                    jobs.give_back(session, claim, now=time.time())

        retry_on_database_errors(store, lambda: time.monotonic() > until)


class _Line(TypedDict, total=False):
    """A line of the file that the child writes; exactly one field is set."""

    progress: float
    result: Payload
    error: StoredError


class _Answer:
    """The file that the child writes: progress, then a result or an error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def progress(self) -> float | None:
        """Returns the newest progress, from 0 to 1; None if there is none."""
        shares = [line["progress"] for line in self._lines() if "progress" in line]
        return float(shares[-1]) if shares else None

    def outcome(self) -> Payload | _Failure | None:
        """Returns the result or an error; None if there is neither yet."""
        for line in self._lines():
            if "result" in line:
                return line["result"]
            if "error" in line:
                return _Failure(line["error"]["message"], line["error"]["next_step"])
        return None

    def _lines(self) -> list[_Line]:
        """Returns the complete lines; the last one may still be incomplete."""
        try:
            if self.path.stat().st_size > _MAX_ANSWER_BYTES:
                size = self.path.stat().st_size
                return [
                    {"error": {"message": f"The result has {size:,} bytes, which is too large.", "next_step": None}}
                ]
            text = self.path.read_text(encoding="utf-8")
        except OSError:
            return []
        return [json.loads(line) for line in text.split("\n")[:-1]]


def _explain(kind: JobKind, code: int, line: str | None, *, was_out_of_memory: bool) -> _Failure:
    """Returns why a child ended without a result, and the next step. `line`: the last line that it wrote."""
    if code == -signal.SIGKILL and was_out_of_memory:
        return _Failure(
            f"{kind.process} was killed because the worker's host ran out of memory.",
            f"Free memory on the worker's host. {kind.retry}",
        )
    if code < 0:
        name = signal.strsignal(-code) or "unknown"
        return _Failure(f"{kind.process} was killed by signal {-code} ({name}).", kind.retry)
    return _Failure(
        f"{kind.process} failed: {line or f'it ended with exit code {code}'}",
        f"{kind.retry} If it fails the same way, report it with the end of the worker's log.",
    )
