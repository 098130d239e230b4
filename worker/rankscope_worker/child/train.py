"""The child: `python -m rankscope_worker.child.train RUN ATTEMPT` does one attempt of a run; its exit code says how it ended.

Signals are caught before torch is imported, which takes seconds.
"""

import contextlib
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, InputsChanged, LeaseLost, RankScopeError
from rankscope.contract.events import WarningEvent
from rankscope.contract.stored import Environment
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine, reading
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import events
from rankscope.store.runs import attempts_of, get_run
from rankscope_worker.child.disk import is_disk_full
from rankscope_worker.child.fast_imports import fast_imports
from rankscope_worker.child.loading.causes import name_of, one_line, out_of_memory
from rankscope_worker.child.recorder import Recorder
from rankscope_worker.child.stop import StopFlag
from rankscope_worker.database_retries import retry_on_database_errors
from rankscope_worker.exit_report import EndNote, ExitCode, write_note
from rankscope_worker.installation import end_if_other_code
from rankscope_worker.steer_requests import SteerRequestQueue

_log = logging.getLogger("rankscope.train")


STACK = (
    "rankscope.catalog",
    "rankscope.catalog.imported.encoded",
    "rankscope_worker.child.checkpoint",
    "rankscope_worker.child.inputs",
    "rankscope_worker.child.software",
    "rankscope_worker.child.training",
)
"""The modules, including torch, that an attempt imports once it has started. The preloaded process already has them."""

_CHANGE = {
    "bad_input": "Change the configuration in a new run.",
    "missing_model": "Check the model's folder, or launch a new run with another model.",
    "bad_data": "Check the data set's file, or launch a new run with another data set.",
}

_MEMORY = {"out_of_memory": "The worker's memory ran out", "out_of_gpu_memory": "The GPU's memory ran out"}
_BUG = "Resume the run to try again from its newest checkpoint. If it fails the same way, report it with the end of the log."


def main(argv: list[str]) -> int:
    run_id, attempt = argv[0], int(argv[1])
    stop = StopFlag()
    stop.listen()
    settings = Settings()
    steer_requests = SteerRequestQueue()
    stop.watch_stdin(settings.lease_s, steer_requests.feed)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    folder = settings.attempt_dir(run_id, attempt)
    engine = create_engine(settings.resolved_database_url)
    recorder = Recorder(
        engine, Doorbell(settings.broker_url), run_id, attempt, on_lost=partial(os._exit, ExitCode.lease_lost)
    )
    stop.when_now(partial(_leave_now, recorder, folder))
    try:
        code, note = _attempt(settings, engine, recorder, stop, steer_requests, run_id, attempt)
    except LeaseLost:
        return ExitCode.lease_lost
    except BaseException as error:
        _log.exception("The attempt failed.")
        code, note = _cause(error, folder)
    recorder.close()
    with contextlib.suppress(OSError):  # a full disk must not change the result
        write_note(folder, note)
    return code


def _attempt(
    settings: Settings,
    engine: Engine,
    recorder: Recorder,
    stop: StopFlag,
    steer_requests: SteerRequestQueue,
    run_id: str,
    attempt: int,
) -> tuple[ExitCode, EndNote]:
    config, environment, is_fork, starts = retry_on_database_errors(partial(_load, engine, run_id, attempt), stop)
    # Imported here and not at the top: see the module docstring.
    from rankscope.catalog import Catalog
    from rankscope.catalog.imported.encoded import TokenSpace
    from rankscope_worker.child import checkpoint
    from rankscope_worker.child.inputs import changed_libraries, find_inputs

    inputs = find_inputs(Catalog(settings), config, environment)
    with fast_imports(with_quantisation=inputs.is_quantised):
        from rankscope_worker.child.software import trained_with
        from rankscope_worker.child.training import run_training

    def begin(start_step: int) -> None:
        inputs.check_model()
        versions = trained_with(config.hardware.device)
        recorder.begin_training(start_step, versions)
        change = changed_libraries(environment, versions)
        if change is not None:
            _log.warning("%s", change)
            recorder.record(
                WarningEvent(
                    code="libraries_changed",
                    step=start_step,
                    message=change,
                    next_step="Results may differ slightly from those of one attempt. To rule that out, install the first "
                    "attempt's versions on every worker and launch the run again.",
                )
            )

    folder = settings.attempt_dir(run_id, attempt)
    resume_from = checkpoint.find_newest(
        folder.parent, partial(_report_damage, recorder), partial(events.is_replaced, starts)
    )
    if resume_from:
        _log.info("Resuming from step %d of attempt %d.", resume_from.step, resume_from.attempt)
    elif is_fork:
        return ExitCode.bad_input, EndNote(
            "damaged_checkpoint",
            "The checkpoint that this run was forked from is missing or damaged.",
            "Fork again, from another checkpoint.",
        )
    outcome = run_training(
        config,
        inputs.model.folder,
        inputs.rows,
        folder,
        recorder.record,
        stop,
        resume_from,
        begin,
        recorder.flush,
        steer_requests.take,
        settings.hardware_every_s,
        TokenSpace(settings.data_dir, settings.token_cache, settings.low_disk),
    )
    match outcome.kind:
        case "done":
            return ExitCode.done, EndNote("done", step=outcome.step)
        case "diverged":
            return ExitCode.nan_loss, EndNote(
                "nan_loss",
                f"The loss is NaN since step {outcome.step}; the training has diverged.",
                f"Lower learning_rate, for example to {config.training.learning_rate / 3:.1g}: "
                "fork the run from a checkpoint before that step, or duplicate it.",
                outcome.step,
            )
        case "disk_full":
            return ExitCode.disk_full, EndNote(
                "disk_full",
                f"The disk is full: there was no space for the checkpoint of step {outcome.step}.",
                "Free space in the data folder, then resume the run: it continues from the previous checkpoint.",
                outcome.step,
            )
        case "stopped":
            code = ExitCode.stopped_saved if outcome.is_saved else ExitCode.stopped_unsaved
            return code, EndNote("stopped", step=outcome.step)


def _load(engine: Engine, run_id: str, attempt: int) -> tuple[RunConfig, Environment, bool, dict[int, int | None]]:
    """Returns the run's configuration and environment, whether it is a fork, and the first step of each attempt."""
    with reading(engine) as session:
        run = get_run(session, run_id)
        if run.attempt != attempt:
            raise LeaseLost(f"Run {run_id} is at attempt {run.attempt}; this is {attempt}.")
        starts = {earlier.number: earlier.start_step for earlier in attempts_of(session, run_id)}
        return RunConfig.stored(run.config), run.environment.copy(), run.parent_id is not None, starts


def _report_damage(recorder: Recorder, damaged: object, why: str) -> None:
    from rankscope_worker.child.checkpoint import CheckpointFolder

    if isinstance(damaged, CheckpointFolder):
        recorder.record(
            WarningEvent(
                code="checkpoint_damaged",
                step=damaged.step,
                message=f"The checkpoint of step {damaged.step} (attempt {damaged.attempt}) is damaged: {why}.",
                next_step="Nothing to do: the previous checkpoint is used.",
            )
        )


def _cause(error: BaseException, folder: Path) -> tuple[ExitCode, EndNote]:
    """Returns exit code and note for an attempt that ended with an exception."""
    text = one_line(error)
    if isinstance(error, BadInput) and error.problems[0].field.startswith(
        ("config.model", "config.data", "config.task")
    ):
        reason = "missing_model" if error.problems[0].field.startswith("config.model") else "bad_data"
        return ExitCode.bad_input, EndNote(reason, text, error.next_step or _CHANGE[reason])
    if isinstance(error, InputsChanged):
        _log.error("%s", error.fingerprints)  # the last such line of the log becomes the run's cause
        return ExitCode.bad_input, EndNote(error.reason, text, error.next_step)
    if isinstance(error, RankScopeError):
        return ExitCode.bad_input, EndNote("bad_input", text, error.next_step or _CHANGE["bad_input"])
    memory = out_of_memory(error)
    if memory is not None:
        return ExitCode.out_of_memory, EndNote(memory, f"{_MEMORY[memory]}: {text}" if text else f"{_MEMORY[memory]}.")
    # Check memory errors first: this imports torch, which needs memory.
    from rankscope_worker.child.training import PermanentError

    if isinstance(error, PermanentError):
        return ExitCode.bad_input, EndNote(error.reason, text, _CHANGE[error.reason])
    if is_disk_full(error, folder):
        return ExitCode.disk_full, EndNote(
            "disk_full", f"The disk is full: {text}", "Free space in the data folder, then resume the run."
        )
    return ExitCode.error, EndNote("error", f"The training failed with an unexpected error: {name_of(error)}", _BUG)


def _leave_now(recorder: Recorder, folder: Path) -> None:
    """Stops without a checkpoint: recorded events are written, and the main thread's work is abandoned."""
    try:
        recorder.flush()
    except LeaseLost:
        os._exit(ExitCode.lease_lost)
    write_note(folder, EndNote("stopped"))
    os._exit(ExitCode.stopped_unsaved)


def run(argv: list[str]) -> NoReturn:
    """Does the attempt and ends the process."""
    end_if_other_code(ExitCode.other_code)
    started = time.monotonic()
    code = main(argv)
    _log.info("Ended after %.1f s: %s.", time.monotonic() - started, ExitCode(code).name.replace("_", " "))
    logging.shutdown()
    # Skips interpreter shutdown: everything is written, and torch's threads may hang during it.
    os._exit(code)


if __name__ == "__main__":
    run(sys.argv[1:])
