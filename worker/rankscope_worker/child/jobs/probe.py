"""Job `probe`: runs the first steps of a training to measure its time per step and its peak memory. Keeps nothing else.

The training's own code runs with the run's configuration and schedule, and ends after some steps. Evaluations and
checkpoints are postponed, so that none happens during the measurement.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rankscope.catalog import Catalog
from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.config import RunConfig
from rankscope.contract.data.config import LARGEST
from rankscope.contract.errors import BadInput, InputsChanged
from rankscope.contract.events import PhaseEvent, RunEvent
from rankscope.contract.metrics import PEAK_GPU_MEMORY, PEAK_MEMORY
from rankscope.contract.probes import MOST_STEPS, WARM_UP_STEPS, ProbePayload, ProbeResult
from rankscope.contract.status import Phase
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope.store import probes
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.earlier_runs import trained_on
from rankscope_worker.child.fast_imports import fast_imports
from rankscope_worker.child.inputs import find_inputs
from rankscope_worker.child.loading.causes import name_of, one_line, out_of_memory
from rankscope_worker.child.loading.picked_rows import PickedRows

_ENOUGH_STEPS, _ENOUGH_S = 10, 2.0
"""The measurement ends once it has both."""
_LONGEST_S = 20.0
"""After this time it ends with the steps that it has, at least one."""
_MOST_ROWS = 20_000
_EVALUATION_ROWS = 8
_SHARES = {Phase.loading: 0.1, Phase.tokenizing: 0.3, Phase.training: 0.4}


class _Enough(Exception):
    """Ends the training."""


def run(settings: Settings, payload: Payload, report: Callable[[float], None]) -> Payload:
    """Returns the measurement, and stores it for later plans."""
    request = ProbePayload.model_validate(payload)
    config = RunConfig.stored(request.config)
    inputs = find_inputs(Catalog(settings), config, request.environment)
    rows = _some_rows(inputs.rows, config)
    with fast_imports(with_quantisation=inputs.is_quantised):
        from rankscope_worker.child.hardware import read_peaks
        from rankscope_worker.child.software import trained_with
        from rankscope_worker.child.training import run_training

    watch = _Watch(report)
    # In the job's folder, which the worker removes even if this process is killed.
    with tempfile.TemporaryDirectory(prefix="rankscope-probe-", dir=Path.cwd()) as folder, suppress(_Enough):
        run_training(
            _without_interruptions(config),
            inputs.model.folder,
            rows,
            Path(folder, "attempt-1"),
            watch.record,
            watch.step_ends,
            on_ready=watch.begin,
        )
    inputs.check_model()
    device = trained_with(config.hardware.device)["device"]
    kind = trained_on({"trained_with": {"device": device}})
    peak = read_peaks().get(PEAK_MEMORY if kind == "cpu" else PEAK_GPU_MEMORY)
    result = ProbeResult(
        steps=watch.steps,
        step_s=watch.step_s,
        device="cpu" if kind == "cpu" else "gpu",
        device_name=device,
        peak_bytes=None if peak is None else int(peak),
        longest=_longest(rows),
    )
    engine = create_engine(settings.resolved_database_url)
    with writing(engine) as session:
        probes.add(session, config, result, now=time.time())
    return result.model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if out_of_memory(error) is not None:
        return (
            f"The memory ran out during the measurement: {one_line(error)}",
            "Use a smaller batch, shorter texts or gradient checkpointing, then measure again. A run would end like this.",
        )
    if isinstance(error, InputsChanged):
        return one_line(error), "Reload the page, so that it uses the new files, then measure again."
    if isinstance(error, BadInput):
        return f"The run's {error.problems[0].message.rstrip('.')}.", error.problems[0].next_step or "Measure again."
    from rankscope_worker.child.training import PermanentError

    if isinstance(error, PermanentError):
        return one_line(error), "Change the configuration: a run would end like this."
    return (
        f"The measurement failed with an unexpected error: {name_of(error)}",
        "Measure again. If it fails in the same way, report it with the end of the worker's log.",
    )


class _Watch:
    """Measures the steps of a training, and ends it."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._is_training = False
        self._warm_up = WARM_UP_STEPS
        self._began = self._ended = 0.0
        self.steps = 0

    @property
    def step_s(self) -> float:
        """Mean of the measured steps. Raises ValueError if there is none."""
        if not self.steps:
            raise ValueError("There was no step to measure.")
        return (self._ended - self._began) / self.steps

    def begin(self, _start_step: int) -> None:
        self._is_training = True
        self._began = time.perf_counter()

    def record(self, event: RunEvent) -> None:
        if not isinstance(event, PhaseEvent):
            return
        if event.phase in (Phase.evaluating, Phase.saving):  # the last step: fewer steps than are measured
            self._measure()
            raise _Enough
        if event.phase in _SHARES:
            self._report(_SHARES[event.phase])

    def step_ends(self) -> bool:
        """Called after each step but the last one, and while the training is prepared."""
        if self._is_training and self._warm_up:
            self._warm_up -= 1
            self._began = time.perf_counter()
        elif self._is_training:
            self._measure()
        return False

    def _measure(self) -> None:
        self.steps, self._ended = self.steps + 1, time.perf_counter()
        took = self._ended - self._began
        enough = min(self.steps / _ENOUGH_STEPS, took / _ENOUGH_S)
        share = min(1.0, max(enough, took / _LONGEST_S, self.steps / MOST_STEPS))
        before = _SHARES[Phase.training]
        self._report(before + (1 - before) * share)
        if share == 1:
            raise _Enough


def _without_interruptions(config: RunConfig) -> RunConfig:
    later = {"eval_every": LARGEST, "checkpoint_every": LARGEST, "checkpoint_minutes": None}
    return config.model_copy(update={"training": config.training.model_copy(update=later)})


def _some_rows(split: Split, config: RunConfig) -> Split:
    """A random sample with enough rows for full batches, because a step with fewer rows would be faster."""
    a_step = config.training.batch_size * config.training.gradient_accumulation
    steps = max(1, min(WARM_UP_STEPS + MOST_STEPS, _MOST_ROWS // a_step))
    every = range(len(split.train))
    chosen = every if len(every) <= steps * a_step else sorted(random.Random(0).sample(every, steps * a_step))
    train: Sequence[Row] = split.train
    if len(chosen) < len(every):
        train = train.only(chosen) if isinstance(train, PickedRows) else [train[index] for index in chosen]
    first = range(min(_EVALUATION_ROWS, len(split.evaluation)))
    evaluation: Sequence[Row] = split.evaluation
    evaluation = evaluation.only(first) if isinstance(evaluation, PickedRows) else evaluation[: len(first)]
    # Without a key, the tokens of all rows are not looked up in the cache.
    return replace(split, train=train, evaluation=evaluation, eval_parts=split.eval_parts[: len(first)], key="")


def _longest(rows: Split) -> dict[str, int]:
    longest = dict.fromkeys(rows.text_columns, 0)
    for row in rows.train:
        for column in longest:
            value = row.get(column)
            if isinstance(value, str):
                longest[column] = max(longest[column], len(value))
    return {column: length for column, length in longest.items() if length}
