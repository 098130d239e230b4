"""AssignedCallback: snapshots of a LoRA whose ranks a method assigns once, before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from transformers import TrainerControl, TrainerState, TrainingArguments

from ..adapter.lora_pair import LoraPair
from ..allocation.snapshot import OnSnapshot
from .fixed_rank import FixedRankCallback


class AssignsRanks(Protocol):
    """The part of a method that the callback uses."""

    key: str
    is_initialized: bool

    @property
    def pairs(self) -> Sequence[LoraPair]: ...

    @property
    def width(self) -> int: ...


class AssignedCallback(FixedRankCallback):
    """Refuses to train before the ranks are assigned: that would be plain LoRA."""

    def __init__(self, method: AssignsRanks, on_snapshot: OnSnapshot | None, snapshot_every: int) -> None:
        super().__init__(method.pairs, method.width, on_snapshot, snapshot_every)
        self.method = method

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self.method.is_initialized:
            raise RuntimeError(
                f"The ranks of {self.method.key} are not assigned; use make_trainer_class(Trainer), or call "
                "method.initialize(batches) before you create the Trainer."
            )
        super().on_train_begin(args, state, control, **kwargs)
