"""RunTrainer: transformers' Trainer with a rank method, which reports its phases and publishes complete checkpoints."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import DataCollator, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from dynamic_rank import MethodTrainerMixin
from rankscope.contract.config import TrainingConfig
from rankscope.contract.evaluation.row_values import RowValuesAt
from rankscope.contract.events import CheckpointEvent, RunEvent, WarningEvent
from rankscope.contract.manifest import Notes
from rankscope.contract.status import Phase
from rankscope_worker.child import checkpoint
from rankscope_worker.child.answers.generation import Interrupted
from rankscope_worker.child.callbacks import Reporter
from rankscope_worker.child.disk import is_disk_full
from rankscope_worker.child.loading.token_count import counting, take_count

MeasureGenerated = Callable[[nn.Module, Callable[[], bool]], dict[str, float]]
"""Returns the metrics of texts that the model generates. Raises Interrupted if the function returns true in the meantime."""


class RunTrainer(MethodTrainerMixin, Trainer):
    """Takes, in addition to Trainer's arguments, `method`, the `reporter` among its callbacks, and the attempt's folder.

    Training batches are made by `training_collator`, evaluation batches by `data_collator`.

    A stop request ends an evaluation that generates texts. Its checkpoint notes that the evaluation is due, and a trainer
    with `evaluates_first`, that checkpoint's folder, does it before its first step, so that a resumed run has the same evaluations.
    """

    def __init__(
        self,
        *args: Any,
        reporter: Reporter,
        record: Callable[[RunEvent], object],
        make_safe: Callable[[], None],
        folder: Path,
        policy: TrainingConfig,
        measure_generated: MeasureGenerated = lambda _model, _should_stop: {},
        evaluates_first: Path | None = None,
        keep_row_values: Callable[[RowValuesAt, int], object] = lambda _at, _step: None,
        is_fork: bool = False,
        training_collator: Callable[[list[Any]], Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.reporter = reporter
        self.record = record
        self.make_safe = make_safe
        self.folder = folder
        self.policy = policy
        self.is_fork = is_fork
        self._keep_row_values = keep_row_values
        self._measure_generated = measure_generated
        self._training_collator = training_collator
        self._is_evaluation_due = False
        self.saved_step: int | None = None
        """Step of the newest checkpoint that this attempt has published."""
        self.is_out_of_room = False
        """Whether the newest checkpoint failed because the disk is full."""
        super().__init__(*args, **kwargs)
        if evaluates_first is not None:
            self.add_callback(_EvaluateFirst(self, evaluates_first))

    def initialize_method(self) -> None:
        # Methods that read activations recognise padding by the attention mask, which not every training batch has.
        collator, self._training_collator = self._training_collator, None
        try:
            super().initialize_method()
        finally:
            self._training_collator = collator

    def get_train_dataloader(self) -> DataLoader[Any]:
        evaluating = self.data_collator
        collate = self._training_collator
        self.data_collator = evaluating if collate is None else cast(DataCollator, counting(collate))
        try:
            loader: DataLoader[Any] = super().get_train_dataloader()
        finally:
            self.data_collator = evaluating
        return loader

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        take_count(inputs, self.state)
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        try:
            with self.reporter.phase(Phase.evaluating):
                found: dict[str, float] = super().evaluate(*args, **kwargs)
                self._keep_those_of_rows()
                return found
        except Interrupted:
            self._is_evaluation_due = self.reporter.is_stopping = True
            self.control.should_save = self.control.should_training_stop = True
            self.control.should_evaluate = False
            return {}

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        output: EvalLoopOutput = super().evaluation_loop(*args, **kwargs)
        is_last = self.state.global_step >= self.state.max_steps
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.args.bf16):
            found = self._measure_generated(self._trained(), lambda: not is_last and self.reporter.should_stop())
        prefix = kwargs.get("metric_key_prefix", "eval")
        metrics = {**(output.metrics or {}), **{f"{prefix}_{name}": value for name, value in found.items()}}
        return output._replace(metrics=metrics)

    def _keep_those_of_rows(self) -> None:
        """Keeps each row's numbers from the last and the best evaluation."""
        step, best = self.state.global_step, self.reporter.best
        kept: list[RowValuesAt] = ["final"] if step >= self.state.max_steps else []
        if best is not None and best.step == step:
            kept.append("best")
        for at in kept:
            self._keep_row_values(at, step)

    def save_now(self) -> None:
        """Writes a checkpoint of the current step."""
        self._save_checkpoint(self._trained(), None)

    def _trained(self) -> nn.Module:
        assert self.model is not None
        return self.model

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Restores optimizer moments and the scheduler's position; a fork keeps its own learning rate and weight decay."""
        if not self.is_fork or self.optimizer is None or self.lr_scheduler is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        own = [(group["initial_lr"], group["weight_decay"]) for group in self.optimizer.param_groups]
        super()._load_optimizer_and_scheduler(checkpoint)
        self.lr_scheduler.base_lrs = [learning_rate for learning_rate, _ in own]
        for group, (learning_rate, weight_decay) in zip(self.optimizer.param_groups, own, strict=True):
            group["initial_lr"], group["weight_decay"] = learning_rate, weight_decay
        # LambdaLR's formula at the restored position.
        for group, factor in zip(self.optimizer.param_groups, self.lr_scheduler.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(self.lr_scheduler.last_epoch)
        self.lr_scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        step = self.state.global_step
        written = Path(self.args.output_dir or ".") / f"checkpoint-{step}"
        with self.reporter.phase(Phase.saving):
            try:
                super()._save_checkpoint(model, trial)
                self.make_safe()
                best = self.reporter.best
                notes: Notes = {"is_settled": self.method.is_settled}
                if best:
                    notes["best"] = best.as_note()
                if self._is_evaluation_due:
                    notes["is_evaluation_due"] = True
                _, size_bytes = checkpoint.publish(written, self.folder, step, notes)
            except Exception as error:
                if not is_disk_full(error, written):
                    raise
                self._bear_full_disk(error, written, step)
                return
            self.saved_step, self.is_out_of_room = step, False
            self.record(CheckpointEvent(step=step, size_bytes=size_bytes))
            # Not while stopping: another attempt may already be reading the older ones.
            if not self.reporter.is_stopping:
                # Events are stored only while this attempt owns the lease, so an attempt that lost it deletes nothing.
                self.make_safe()
                checkpoint.keep(self.folder, self.policy.keep_checkpoints, best.step if best else None)

    def _bear_full_disk(self, error: Exception, written: Path, step: int) -> None:
        """Deletes the half-written checkpoint, records a warning, and continues or stops according to the policy."""
        shutil.rmtree(written, ignore_errors=True)
        is_first, self.is_out_of_room = not self.is_out_of_room, True
        must_stop = self.policy.on_disk_full == "stop"
        if must_stop:
            self.control.should_training_stop = True
        if is_first:
            before = (
                "there is no earlier one" if self.saved_step is None else f"that of step {self.saved_step} is intact"
            )
            self.record(
                WarningEvent(
                    code="checkpoint_failed",
                    step=step,
                    message=f"There was no space for the checkpoint of step {step}; {before}. ({error})",
                    next_step="Free space in the data folder"
                    + ("." if must_stop else ": training continues and retries at the next checkpoint."),
                )
            )


class _EvaluateFirst(TrainerCallback):
    """Runs the evaluation that a stop request interrupted, before the first step."""

    def __init__(self, trainer: RunTrainer, resumed_from: Path) -> None:
        self._trainer = trainer
        self._resumed_from = resumed_from

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,
        **kwargs: object,  # noqa: ARG002
    ) -> None:
        self._trainer.evaluate()
        # The checkpoint's random state is that after the evaluation.
        self._trainer._load_rng_state(str(self._resumed_from))
        if control.should_save:  # it is the best evaluation so far
            self._trainer.save_now()
