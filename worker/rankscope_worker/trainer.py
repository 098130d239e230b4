"""RunTrainer: transformers' Trainer with a rank method, which says what it does and publishes whole checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import Trainer

from dynamic_rank import MethodTrainerMixin
from rankscope.contract.events import CheckpointEvent, RunEvent
from rankscope.contract.status import Phase
from rankscope_worker import checkpoint
from rankscope_worker.callbacks import Reporter


class RunTrainer(MethodTrainerMixin, Trainer):
    """Takes, beside Trainer's arguments, `method`, the `reporter` among its callbacks, and the attempt's folder."""

    def __init__(
        self,
        *args: Any,
        reporter: Reporter,
        record: Callable[[RunEvent], object],
        make_safe: Callable[[], None],
        folder: Path,
        keep_checkpoints: int,
        **kwargs: Any,
    ) -> None:
        self.reporter = reporter
        self.record = record
        self.make_safe = make_safe
        self.folder = folder
        self.keep_checkpoints = keep_checkpoints
        super().__init__(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self.reporter.phase(Phase.evaluating):
            return super().evaluate(*args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self.reporter.phase(Phase.saving):
            super()._save_checkpoint(model, trial)
            step = self.state.global_step
            written = Path(self.args.output_dir or ".") / f"checkpoint-{step}"
            self.make_safe()
            _, size_bytes = checkpoint.publish(written, self.folder, step)
            self.record(CheckpointEvent(step=step, size_bytes=size_bytes))
            # Not while stopping: another attempt may already be reading the older ones.
            if not self.reporter.is_stopping:
                checkpoint.keep_newest(self.folder, self.keep_checkpoints)
