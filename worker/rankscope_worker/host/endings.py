"""Determines how an attempt ended, with a message for the user, and stores it with the run."""

import logging
import re
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from rankscope.contract.batch import smaller_batch
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import StoredConfig
from rankscope.store import queue, runs
from rankscope.store.database.engine import writing
from rankscope.store.queue import Claim
from rankscope_worker.exit_report import EndNote, ExitCode

_log = logging.getLogger(__name__)

_WARNING = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")

StopOrigin = Literal["none", "user", "drain"]


@dataclass(frozen=True)
class Ending:
    """If `status` is None, the run waits to be resumed, and `counts` is whether this counts as a lost worker."""

    status: RunStatus | None
    reason: str | None
    message: str | None = None
    next_step: str | None = None
    counts: bool = False
    cause: str | None = None
    """The log line with the cause."""


def classify(
    return_code: int,
    stop_origin: StopOrigin,
    note: EndNote | None,
    log: Path,
    config: StoredConfig,
    killed_after_s: float | None,
    was_out_of_memory: bool = False,
) -> Ending:
    """Returns what the exit of the training process means.

    `killed_after_s`: time after which the supervisor killed it; None if it didn't. `was_out_of_memory`: the kernel's
    out-of-memory killer was active while it ran.
    """
    ending = _classified(return_code, stop_origin, note, log, config, killed_after_s, was_out_of_memory)
    if ending.status in (RunStatus.done, RunStatus.stopped) or stop_origin != "none":
        return ending
    # A process that ended by itself logged the reason last; the warning before that line is the cause.
    line = last_error_line(log, or_warning=note is not None)
    return ending if line is None or line in (ending.message or "") else replace(ending, cause=line)


def _classified(
    return_code: int,
    stop_origin: StopOrigin,
    note: EndNote | None,
    log: Path,
    config: StoredConfig,
    killed_after_s: float | None,
    was_out_of_memory: bool,
) -> Ending:
    match return_code:
        case ExitCode.done:
            return Ending(RunStatus.done, None)
        case ExitCode.bad_input | ExitCode.nan_loss | ExitCode.disk_full if note:
            return Ending(RunStatus.failed, note.reason, note.message, note.next_step)
        case ExitCode.disk_full:
            return Ending(
                RunStatus.failed,
                "disk_full",
                "The disk is full.",
                "Free space in the data folder, then resume the run: it continues from its newest checkpoint.",
            )
        case ExitCode.out_of_memory:
            return Ending(
                RunStatus.failed,
                note.reason if note else "out_of_memory",
                note.message if note else "The worker's memory ran out.",
                _smaller_batch(config),
            )
    was_stopped = return_code in (ExitCode.stopped_saved, ExitCode.stopped_unsaved)
    was_killed = return_code < 0 or return_code == 128 + signal.SIGKILL
    if (was_stopped or was_killed) and stop_origin == "drain":
        return Ending(None, "worker_drained", "Its worker was shut down.")
    if (was_stopped or was_killed) and stop_origin == "user":
        return _stopped(return_code, note, killed_after_s)
    if was_stopped:
        return Ending(None, "child_stopped", "The training process was stopped by a signal.", counts=True)
    if return_code == -signal.SIGABRT and (line := _failed_allocation(log)):
        return Ending(
            RunStatus.failed, "out_of_memory", f"The worker's memory ran out: {line}.", _smaller_batch(config)
        )
    if was_killed or return_code == ExitCode.lease_lost:
        number = -return_code if return_code < 0 else signal.SIGKILL
        if number == signal.SIGKILL and was_out_of_memory:
            return Ending(
                None,
                "out_of_memory",
                "The host ran out of memory, and the kernel killed the training process.",
                _smaller_batch(config),
                counts=True,
            )
        what = signal.strsignal(number) or "unknown"
        return Ending(
            None, "child_killed", f"The training process was killed by signal {int(number)} ({what}).", counts=True
        )
    if note and note.message:
        return Ending(RunStatus.failed, note.reason, note.message, note.next_step)
    line = last_error_line(log)
    message = f"The training process ended with exit code {return_code} without giving a reason."
    return Ending(
        RunStatus.failed,
        "error",
        message if line is None else f"{message} The last line of its log: {line}",
        "Resume the run to try again. If it fails the same way, report it with the end of the log.",
    )


def _failed_allocation(log: Path) -> str | None:
    """Returns the line that Rust code (tokenizers, safetensors) logs when it aborts because memory ran out."""
    return next(
        (line for line in _last_lines(log) if re.fullmatch(r"memory allocation of \d+ bytes failed", line)), None
    )


def _stopped(return_code: int, note: EndNote | None, killed_after_s: float | None) -> Ending:
    if return_code == ExitCode.stopped_saved:
        step = note.step if note and note.step is not None else 0
        return Ending(
            RunStatus.stopped,
            "stopped_saved",
            f"Stopped after step {step} with a checkpoint.",
            "Resume it to continue from there.",
        )
    why = "Stopped without a new checkpoint."
    if killed_after_s is not None:
        why = f"It did not stop within {killed_after_s:g} s and was killed."
    return Ending(
        RunStatus.stopped,
        "stopped_unsaved",
        why,
        "Resume it to continue from its newest checkpoint, or from the start.",
    )


def _smaller_batch(config: StoredConfig) -> str:
    smaller = smaller_batch(config)
    if smaller is None:
        return "Shorten max_length, or use a smaller model."
    return (
        f"Retry with batch_size {smaller[0]} and gradient_accumulation {smaller[1]}: the same training in less memory."
    )


def last_error_line(log: Path, tail_bytes: int = 20_000, *, or_warning: bool = False) -> str | None:
    """Returns the last line of the log that looks like the end of a traceback, otherwise its last line.

    `or_warning`: otherwise the last line that was logged as a warning or an error, or None.
    """
    lines = _last_lines(log, tail_bytes)
    errors = [line for line in lines if "Error" in line.split(":", 1)[0] and " " not in line.split(":", 1)[0]]
    others = [line for line in lines if _WARNING.match(line)] if or_warning else lines
    line = next((found[-1] for found in (errors, others) if found), None)
    return line[:1000] if line else None


def _last_lines(log: Path, tail_bytes: int = 20_000) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - tail_bytes))
            return [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []


def write_ending(engine: Engine, claim: Claim, ending: Ending, max_lost_workers: int) -> tuple[RunStatus, int]:
    """Stores the ending. Returns the run's new status and last event number. Raises LeaseLost if another attempt owns it."""
    now = time.time()
    with writing(engine) as session:
        run = queue.owned_run(session, claim.run_id, claim.attempt)
        if ending.status is None:
            queue.give_up_lease(
                session,
                run,
                now=now,
                reason=ending.reason or "worker_lost",
                message=ending.message or "",
                max_lost_workers=max_lost_workers if ending.counts else None,
                cause=ending.cause,
                next_step=ending.next_step,
            )
        else:
            runs.transition(
                session,
                run,
                ending.status,
                now=now,
                reason=ending.reason,
                message=ending.message,
                next_step=ending.next_step,
                cause=ending.cause,
            )
        return run.status, run.last_seq
