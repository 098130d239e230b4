"""Predictor: answers prediction requests for finished runs, one at a time, next to the trainings. Never imports torch.

Its thread takes the messages by itself, not through the Celery worker of the trainings: that one takes nothing while its
slots are full, for hours, and counts what it runs by process, so that a second one in this process would be as full.
The model is loaded in a child process, on the CPU: a training's GPU memory is left alone.
"""

import logging
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from kombu.exceptions import KombuError
from redis import RedisError

from rankscope.contract.errors import ServiceDown
from rankscope.contract.predictions import Prediction
from rankscope.store.predictions import PredictionBoard
from rankscope_worker.host.celery_app import PREDICTIONS_QUEUE, make_celery
from rankscope_worker.host.endings import last_error_line
from rankscope_worker.host.host import Host
from rankscope_worker.host.log_file import bound_log
from rankscope_worker.host.memory import oom_kills
from rankscope_worker.host.supervisor import child_environment

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_PAUSE_S = 1.0
_JOIN_S = 10.0
_PATIENCE = {"max_retries": 1, "interval_start": 0, "connect_retries_timeout": 2}
"""kombu otherwise tries to connect for ever, and would not see that the host drains."""


class Predictor:
    """`start` and `stop` are called once each. It ends by itself soon after the host begins to drain."""

    def __init__(self, host: Host, *, timeout_s: float = 180.0) -> None:
        self._host = host
        self._timeout_s = timeout_s
        self._board = PredictionBoard(host.settings.broker_url)
        self._celery = make_celery(host.settings)
        self._celery.conf.broker_transport_options |= _PATIENCE
        self._thread = threading.Thread(target=self._serve, name="predictor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The host drains: the thread sees that within a second."""
        self._thread.join(_JOIN_S)
        self._board.close()

    def _serve(self) -> None:
        while not self._host.is_draining:
            try:
                self._take_and_answer()
            except (KombuError, RedisError, OSError) as error:
                _log.info("No predictions now: the broker is unreachable (%s).", error)
            except Exception:
                _log.exception("A prediction failed; the next one follows.")
            time.sleep(_PAUSE_S)

    def _take_and_answer(self) -> None:
        """One message after the other, until the host drains or the connection breaks."""
        with (
            self._celery.connection_for_read() as connection,
            connection.SimpleQueue(PREDICTIONS_QUEUE, accept=["json"]) as messages,
        ):
            while not self._host.is_draining:
                try:
                    message = messages.get(timeout=_PAUSE_S)
                except messages.Empty:
                    continue
                message.ack()
                # A Celery message: (positional arguments, named ones, callbacks).
                (run_id, prediction_id), *_ = message.payload
                self.answer(run_id, prediction_id)

    def answer(self, run_id: str, prediction_id: str) -> None:
        """Has the question answered by a child process; whatever happens stands on the board."""
        try:
            question = self._board.get(run_id, prediction_id)
            if question is None or question.status != "waiting":
                return
            self._board.put(question.model_copy(update={"status": "running"}))
            failure = self._failure(question)
            if failure is not None:
                message, next_step = failure
                self._board.put(
                    question.model_copy(update={"status": "failed", "message": message, "next_step": next_step})
                )
        except ServiceDown as error:
            _log.warning("Prediction %s of run %s is dropped: %s", prediction_id, run_id, error)

    def _failure(self, question: Prediction) -> tuple[str, str] | None:
        """Runs the child. None when it has answered; else what went wrong, and what to do."""
        kills_before = oom_kills()
        with tempfile.NamedTemporaryFile("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "rankscope_worker.child.predict", question.run_id, question.id],
                env=child_environment(self._host.settings, None, self._host.threads_a_slot),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                why = self._wait(child, Path(output.name))
            finally:
                child.kill()
                code = child.wait()
            if why is not None:
                return why, "Ask again."
            if code == 0:
                return None
            line = last_error_line(Path(output.name))
        message, next_step = _explain(code, line, was_out_of_memory=oom_kills() > kills_before)
        _log.warning("The process of prediction %s failed: %s", question.id, message)
        return message, next_step

    def _wait(self, child: "subprocess.Popen[bytes]", log: Path) -> str | None:
        """Until the child ends (None), or must be ended: why."""
        until = time.monotonic() + self._timeout_s
        while child.poll() is None:
            if self._host.is_draining:
                return "The worker was shut down before it could answer."
            if time.monotonic() > until:
                return f"There was no answer within {self._timeout_s:.0f} s."
            bound_log(log)
            time.sleep(_LOOK_EVERY_S)
        return None


def _explain(code: int, line: str | None, *, was_out_of_memory: bool) -> tuple[str, str]:
    """What the end of a child that gave no answer means, and what to do. `line`: the last of what it wrote."""
    if code == -signal.SIGKILL and was_out_of_memory:
        return (
            "The worker's host ran out of memory, and the kernel killed the process that loads the models.",
            "Free memory on the worker's host, then ask again.",
        )
    if code < 0:
        name = signal.strsignal(-code) or "unknown"
        return f"The process that loads the models was killed by signal {-code} ({name}).", "Ask again."
    return (
        f"The process that loads the models failed: {line or f'it ended with exit code {code}'}",
        "Ask again. If it fails the same way, report it with the end of the worker's log.",
    )
