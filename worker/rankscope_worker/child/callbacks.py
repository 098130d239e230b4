"""Converts the reports of Trainer and the method to run events, and decides when to evaluate, save and stop."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback)
import base64
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dynamic_rank import ComponentChange as Change
from dynamic_rank import PruneDecision, Snapshot
from dynamic_rank.allocation.snapshot import FloatArray
from dynamic_rank.schedule.window import PruningWindow
from rankscope.contract.events import (
    ComponentChange,
    MetricsEvent,
    PhaseEvent,
    PruneEvent,
    RanksEvent,
    RunEvent,
    WarningEvent,
)
from rankscope.contract.metrics import (
    EVALUATION,
    SAMPLES_PER_SECOND,
    STEPS_PER_SECOND,
    TOKENS_SEEN,
    Metric,
    describe,
)
from rankscope.contract.status import Phase
from rankscope_worker.child.best import Best

_log = logging.getLogger(__name__)

_NAMES = {
    "loss": "train_loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""Trainer's names of the metrics that are recorded for a step. For an evaluation, all are recorded except these:"""
_TIMINGS = frozenset(
    {"eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "eval_model_preparation_time"}
)
_DIVERGED_AFTER = 3
"""Consecutive NaN or infinite losses after which training ends: the weights are lost."""
_QUIET_WHEN_STOPPING = frozenset({"never_stepped", "stopped_before_final_mask"})
"""Warnings about a training that ended early; meaningless if a stop was requested or the end has another cause."""


class Reporter(TrainerCallback):
    """Records metrics, phases, ranks and warnings of one attempt.

    Evaluates every `eval_every` steps and at the last one; saves every `checkpoint_every` steps, when the last save is
    `checkpoint_minutes` ago, and at each new best evaluation. When `should_stop()` returns true, the current step is
    finished, a checkpoint is written, and training ends.
    """

    def __init__(
        self,
        record: Callable[[RunEvent], object],
        should_stop: Callable[[], bool],
        *,
        eval_every: int,
        checkpoint_every: int,
        window: PruningWindow | None,
        start_step: int = 0,
        checkpoint_minutes: float | None = None,
        best: Best | None = None,
        is_fork: bool = False,
        describe: Callable[[str], Metric] = describe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self.should_stop = should_stop
        self._eval_every = eval_every
        self._checkpoint_every = checkpoint_every
        self._checkpoint_s = math.inf if checkpoint_minutes is None else 60 * checkpoint_minutes
        self._clock = clock
        self._saved_at = clock()
        self.best = best
        self._is_fork = is_fork
        self._describe = describe
        self._window = window
        self._phase: Phase | None = None
        self._start_step = self._step = start_step
        self._bad_losses = 0
        self._first_bad_step = 0
        self._speed = Stopwatch()
        self.is_stopping = False
        self.diverged_at: int | None = None
        """First step of the NaN or infinite losses that ended the training."""

    # ------------------------------------------------------------ called by Trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self._step = state.global_step
        self._saved_at = self._clock()
        self._enter_training()
        self._speed.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        step = self._step = state.global_step
        self._speed.count()
        self._enter_training()
        is_last = step >= state.max_steps
        control.should_evaluate = is_last or step % self._eval_every == 0
        is_due = self._clock() - self._saved_at >= self._checkpoint_s
        control.should_save = is_last or is_due or step % self._checkpoint_every == 0
        if not is_last and self.should_stop():
            self.is_stopping = True
            control.should_save = control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        if self.best is not None and not self._bad_losses and self.best.see(state.global_step, metrics or {}):
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        # Also reset it after a failed save, so that a full disk is not retried at every step.
        self._saved_at = self._clock()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        logs = logs or {}
        # Everything is recorded as events. Trainer would write its own list to every checkpoint.
        state.log_history.clear()
        evaluated = {
            name: float(value)
            for name, value in logs.items()
            if name.startswith(EVALUATION) and name not in _TIMINGS and isinstance(value, int | float)
        }
        values = {_NAMES[name]: float(value) for name, value in logs.items() if name in _NAMES} | evaluated
        if "loss" in logs and state.num_input_tokens_seen > 0:
            values[TOKENS_SEEN] = float(state.num_input_tokens_seen)
        rate = self._speed.rate() if "loss" in logs else None
        if rate is not None:
            rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
            values |= {STEPS_PER_SECOND: rate, SAMPLES_PER_SECOND: rate * rows}
        if values:
            self._record(MetricsEvent(step=state.global_step, values=values))
        if "loss" in logs:
            self._watch_loss(float(logs["loss"]), state.global_step, control)
            if rate is not None:
                _log.info(
                    "step %d/%d  loss %.4f  learning rate %.3g  %.2f steps/s",
                    state.global_step,
                    state.max_steps,
                    logs["loss"],
                    logs["learning_rate"],
                    rate,
                )
        elif evaluated:
            found = "  ".join(f"{self._describe(name).short_title} {value:.4f}" for name, value in evaluated.items())
            _log.info("step %d/%d  evaluation: %s", state.global_step, state.max_steps, found)

    # ------------------------------------------------------------ called by the method

    def on_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.step == self._start_step > 0 and not self._is_fork:
            # The previous attempt has recorded this step, including whether it ended with a pruning.
            return
        self._record(ranks_event(snapshot))
        if snapshot.dem is not None:
            self._record(MetricsEvent(step=snapshot.step, values={"dem": snapshot.dem}))
        if snapshot.decision is not None:
            self._record(prune_event(snapshot.decision))

    def on_warning(self, code: str, message: str) -> None:
        is_early_end = self.is_stopping or self.diverged_at is not None
        if not (is_early_end and code in _QUIET_WHEN_STOPPING):
            self._record(WarningEvent(code=code, message=message, step=self._step))

    # ------------------------------------------------------------ phases

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Reports a phase for the duration of the block, which does not count as training time."""
        before = self._phase
        self.enter(phase)
        with self._speed.paused():
            yield
        if before is not None:
            self.enter(before)

    def enter(self, phase: Phase) -> None:
        if phase != self._phase:
            self._phase = phase
            self._record(PhaseEvent(phase=phase, step=self._step))

    def _enter_training(self) -> None:
        """The phase is "pruning" between the first step that may prune and the final mask."""
        window = self._window
        is_pruning = window is not None and window.start <= self._step < window.end
        self.enter(Phase.pruning if is_pruning else Phase.training)

    def _watch_loss(self, loss: float, step: int, control: TrainerControl) -> None:
        if math.isfinite(loss):
            self._bad_losses = 0
            return
        self._bad_losses += 1
        # A broken model must not replace the last good checkpoint.
        control.should_save = False
        if self._bad_losses == 1:
            self._first_bad_step = step
            self._record(
                WarningEvent(
                    code="nan_loss",
                    message=f"The loss is {loss} at step {step}.",
                    step=step,
                    next_step="Lower learning_rate or max_grad_norm.",
                )
            )
        if self._bad_losses >= _DIVERGED_AFTER:
            self.diverged_at = self._first_bad_step
            control.should_training_stop = True


class Stopwatch:
    """Optimizer steps per second of training, about once a second, without the time of evaluations and saves."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self.start()

    def start(self) -> None:
        self._began = time.perf_counter()
        self._steps = 0

    def count(self) -> None:
        self._steps += 1

    def rate(self) -> float | None:
        elapsed_s = time.perf_counter() - self._began
        if elapsed_s < self._every_s:
            return None
        rate = self._steps / elapsed_s
        self.start()
        return rate

    @contextmanager
    def paused(self) -> Iterator[None]:
        at = time.perf_counter()
        yield
        self._began += time.perf_counter() - at


def ranks_event(snapshot: Snapshot) -> RanksEvent:
    """Returns the packed snapshot; scores of removed components are 0."""
    raw = snapshot.raw_scores
    return RanksEvent(
        step=snapshot.step,
        budget=snapshot.budget_in_components,
        live=int(snapshot.mask.sum()),
        threshold=snapshot.threshold,
        pruning=snapshot.is_pruning_step,
        final=snapshot.is_final,
        modules=snapshot.n_modules,
        width=snapshot.width,
        mask=base64.b64encode(snapshot.pack_mask()).decode(),
        scores=_packed(snapshot, snapshot.scores),
        raw_scores=None if raw is None else _packed(snapshot, raw),
    )


def _packed(snapshot: Snapshot, scores: FloatArray) -> str:
    kept = np.where(snapshot.mask, scores, 0) if snapshot.is_final else scores
    with np.errstate(over="ignore"):
        return base64.b64encode(kept.astype("<f2").tobytes()).decode()


def prune_event(decision: PruneDecision) -> PruneEvent:
    return PruneEvent(
        step=decision.step,
        budget=decision.budget_in_components,
        total=decision.total,
        threshold=math.nan if decision.threshold is None else decision.threshold,
        final=decision.is_final,
        pruned=[_change(change) for change in decision.pruned],
        regrown=[_change(change) for change in decision.regrown],
    )


def _change(change: Change) -> ComponentChange:
    return ComponentChange(
        module=change.module_index, component=change.component, score=change.score, order=change.order
    )
