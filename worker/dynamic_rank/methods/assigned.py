"""AssignedRanks: base class of methods that assign ranks once, before training, in proportion to a score of each module."""

# ruff: noqa: ARG002  (signatures are those of RankMethod)
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from ..allocation.snapshot import OnSnapshot
from ..schedule.checks import check_whole
from ..schedule.largest_remainder import assign_ranks
from ..warning import OnWarning
from .assigned_callback import AssignedCallback
from .plain import AdapterOptions, PlainLora
from .protocol import Batches, ModulesToSave, RunContext


@dataclass(frozen=True, kw_only=True)
class AssignedOptions(AdapterOptions):
    """Options of methods that assign ranks before training.

    rank          the budget: as many parameters as a LoRA of this rank
    least_rank    a module gets at least this rank
    largest_rank  a module gets at most this rank; None uses 4 times `rank`
    """

    rank: int = 8
    least_rank: int = 1
    largest_rank: int | None = None

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, least=1)
        check_whole("least_rank", self.least_rank, least=0)
        if self.least_rank > self.rank:
            raise ValueError(
                f"least_rank={self.least_rank} is above rank={self.rank}, the budget of a module; lower it."
            )
        if self.largest_rank is not None:
            check_whole("largest_rank", self.largest_rank, least=1)
            if self.largest_rank < self.rank:
                raise ValueError(
                    f"largest_rank={self.largest_rank} is below rank={self.rank}, so the budget can't be used; raise it."
                )
        super().__post_init__()


class AssignedRanks(PlainLora, ABC):
    """LoRA with ranks in proportion to the scores of the modules, within the parameters of a LoRA of `rank`.

    A module gets no more components than its matrix can use, unless `rank` is more. The scale is lora_alpha / rank in every
    module, as in a LoRA at equal budget. A checkpoint has tensors of the assigned ranks, so a resumed run computes no scores.
    """

    def __init__(self, options: AssignedOptions) -> None:
        super().__init__(options)
        self._assigned = options
        self.width = options.largest_rank or 4 * options.rank
        self.is_initialized = False
        self.should_stop: Callable[[], bool] = lambda: False
        """Called during `initialize`."""
        self.scores: list[float] = []
        """Of each module, once ranks are assigned."""

    @abstractmethod
    def score_modules(self, batches: Batches) -> Sequence[float]:
        """Return the score of each module, 0 or more."""

    def set_context(self, context: RunContext) -> None:
        self.should_stop = context.should_stop

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        self.is_initialized = False
        wrapped = super().prepare(model, task_type, modules_to_save)
        for pair in self.pairs:
            pair.scaling = self._assigned.lora_alpha / self._assigned.rank
        return wrapped

    def initialize(self, batches: Batches) -> None:
        """Assign the ranks. Raises ValueError if a score is NaN; Stopped if the context's `should_stop()` returns true."""
        self.scores = [float(score) for score in self.score_modules(batches)]
        options, costs = self._assigned, [pair.cost for pair in self.pairs]
        bad = next((i for i, score in enumerate(self.scores) if not score < float("inf")), None)
        if bad is not None:
            raise ValueError(
                f"The score of {self.pairs[bad].name} is {self.scores[bad]}; check that the base model gives a finite loss."
            )
        most = [
            min(self.width, max(options.rank, min(pair.lora.in_features, pair.lora.out_features)))
            for pair in self.pairs
        ]
        ranks = assign_ranks(self.scores, costs, options.rank * sum(costs), least=options.least_rank, most=most)
        for pair, rank in zip(self.pairs, ranks, strict=True):
            # The rows of A have the same distribution and B is zero, so a slice of a LoRA is a LoRA of lower rank.
            pair.replace(pair.A[:rank], pair.B[:, :rank])
        self.is_initialized = True

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        return [AssignedCallback(self, on_snapshot, snapshot_every)]

    def _extra_state(self) -> dict[str, Any]:
        return {"scores": self.scores}

    def _restore_extra(self, info: Mapping[str, Any]) -> None:
        self.scores = [float(score) for score in info["scores"]]
        self.is_initialized = True


def mean_over_processes(scores: torch.Tensor) -> torch.Tensor:
    """Return the mean of the scores of all processes, so that each assigns the same ranks."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(scores)
        scores /= torch.distributed.get_world_size()
    return scores
