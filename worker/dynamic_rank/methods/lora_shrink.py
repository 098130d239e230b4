"""lora_shrink: train LoRA at a high rank, then keep the largest singular values: a cheap and strong baseline."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback and RankMethod)
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..adapter.lora_pair import LoraPair
from ..allocation.selection import select
from ..allocation.snapshot import ComponentChange, OnSnapshot, PruneDecision, to_host
from ..schedule.checks import check_choice, check_number, check_whole
from ..warning import OnWarning
from .fixed_rank import FixedRankCallback
from .plain import AdapterOptions, PlainLora
from .protocol import ParameterCount

Allocation = Literal["uniform", "global"]


@dataclass(frozen=True, kw_only=True)
class LoraShrinkOptions(AdapterOptions):
    """Options of `lora_shrink`.

    target_rank      mean rank after the cut
    initial_rank     rank during training; None means 4 * target_rank
    allocation       uniform: every module keeps target_rank (as PEFT's convert_to_lora) | global: the largest singular
                     values of all modules together are kept
    shrink_at_ratio  share of the steps after which the rank is cut; 1 cuts after the last step
    """

    target_rank: int = 8
    initial_rank: int | None = None
    allocation: Allocation = "uniform"
    shrink_at_ratio: float = 1.0

    def __post_init__(self) -> None:
        check_whole("target_rank", self.target_rank, least=1)
        if self.initial_rank is None:
            object.__setattr__(self, "initial_rank", 4 * self.target_rank)
        check_whole("initial_rank", self.initial_rank, least=1)
        if self.width < self.target_rank:
            raise ValueError(
                f"initial_rank={self.initial_rank} is below target_rank={self.target_rank}; set initial_rank to at "
                f"least {self.target_rank}, or omit it for four times the target."
            )
        check_choice("allocation", self.allocation, get_args(Allocation))
        check_number("shrink_at_ratio", self.shrink_at_ratio, above=0, most=1)
        super().__post_init__()

    @property
    def width(self) -> int:
        return int(self.initial_rank or 0)

    def shrink_step(self, total_steps: int) -> int:
        """The optimizer step, from 1 to `total_steps`, after which the rank is cut."""
        return max(1, math.floor(Fraction(str(self.shrink_at_ratio)) * total_steps))


class LoraShrink(PlainLora):
    """Best rank-r approximation (Eckart and Young) of an update that was trained at a higher rank."""

    key = "lora_shrink"

    def __init__(self, options: LoraShrinkOptions) -> None:
        super().__init__(options)
        self._shrink = options
        self.width = options.width
        self._trained = ParameterCount(0, 0)
        self._is_cut = False
        self.on_resize: Callable[[], None] = lambda: None

    @property
    def is_settled(self) -> bool:
        return self._is_cut

    def prepare(self, model: Any, task_type: object = None, modules_to_save: Any = None) -> Any:
        wrapped = super().prepare(model, task_type, modules_to_save)
        small = next((p for p in self.pairs if self.width > min(p.lora.in_features, p.lora.out_features)), None)
        if small is not None:
            raise ValueError(
                f"initial_rank={self.width} is larger than {small.name} ({small.lora.out_features} x "
                f"{small.lora.in_features}); lower initial_rank, or exclude {small.name}."
            )
        self._is_cut = False
        self._trained = self.kept_parameters()
        return wrapped

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        self._callback = ShrinkCallback(self, on_snapshot, snapshot_every)
        return [self._callback]

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        if all(callback is not getattr(self, "_callback", None) for callback in attached):
            raise RuntimeError(
                "The Trainer does not have this method's ShrinkCallback, so the rank would never be cut; "
                "pass callbacks=method.callbacks(...), using the result of the latest call."
            )

    def trained_parameters(self) -> ParameterCount:
        return self._trained

    def bind(self, on_resize: Callable[[], None]) -> None:
        self.on_resize = on_resize

    def shrink(self, step: int, optimizer: Any = None) -> PruneDecision:
        """Cut the update of every module to its rank. Optimizer moments of the cut tensors start again from zero.

        From then on components are singular directions, in descending order of their singular values.
        """
        directions = [singular_directions(pair) for pair in self.pairs]
        strengths = to_host(torch.stack([strength.to(directions[0][1].device) for _, strength, _ in directions]))
        choice = self._choose(strengths)
        kept = choice.mask.reshape(strengths.shape)
        place = choice.place.reshape(strengths.shape)
        for pair, (left, strength, right), row in zip(self.pairs, directions, kept, strict=True):
            rank = int(row.sum())
            root = (strength[:rank] / pair.scaling).sqrt()
            pair.replace(root[:, None] * right[:rank], left[:, :rank] * root)
            for parameter in (pair.A, pair.B):
                if optimizer is not None:
                    optimizer.state.pop(parameter, None)
        self._is_cut = True
        changed = [
            ComponentChange(self.pairs[m].name, int(m), int(i), float(strengths[m, i]), int(place[m, i]))
            for m, i in zip(*np.nonzero(~kept), strict=True)
        ]
        live = int(kept.sum())
        return PruneDecision(step, live, live, choice.threshold, True, kept.size, tuple(changed), ())

    def _choose(self, strengths: Any) -> Any:
        n, width = strengths.shape
        budget = n * self._shrink.target_rank
        if self._shrink.allocation == "global":
            return select(strengths.reshape(-1), budget)
        # The same number in every module; everything else gets a score below all singular values.
        top = np.tile(np.arange(width) < self._shrink.target_rank, (n, 1))
        return select(np.where(top, strengths, -1.0).reshape(-1), budget)

    def _extra_state(self) -> dict[str, Any]:
        return {"is_cut": self._is_cut}

    def _restore_extra(self, info: Mapping[str, Any]) -> None:
        self._is_cut = bool(info["is_cut"])


class ShrinkCallback(FixedRankCallback):
    """Cuts the rank after the step given by the options, before an evaluation at that step."""

    def __init__(self, method: LoraShrink, on_snapshot: OnSnapshot | None, snapshot_every: int) -> None:
        super().__init__(method.pairs, method.width, on_snapshot, snapshot_every)
        self.method = method

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.is_final = self.method.is_settled
        super().on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        due = self.method._shrink.shrink_step(state.max_steps)
        if state.global_step >= due and not self.method.is_settled:
            self.decision = self.method.shrink(state.global_step, kwargs.get("optimizer"))
            self.is_final = True
            self.method.on_resize()
        super().on_step_end(args, state, control, **kwargs)
        self.decision = None


@torch.no_grad()
def singular_directions(pair: LoraPair) -> tuple[Tensor, Tensor, Tensor]:
    """The singular value decomposition of the update scaling * B A: U (out, r), s (r,), V^T (r, in).

    Takes two QR decompositions and one (r, r) SVD instead of an SVD of the (out, in) matrix: with B = Q_b R_b,
    A^T = Q_a R_a and R_b R_a^T = U' s V'^T, U = Q_b U' and V = Q_a V'.
    """
    # In float64: float32 directions of close singular values are off by up to 3e-4 on a GPU. It runs once per training,
    # so the cost is small.
    fine = torch.float32 if pair.A.device.type == "mps" else torch.float64
    Q_b, R_b = torch.linalg.qr(pair.B.to(fine))
    Q_a, R_a = torch.linalg.qr(pair.A.to(fine).mT)
    U, s, Vh = torch.linalg.svd(R_b @ R_a.mT)
    return (Q_b @ U).float(), (s * pair.scaling).float(), (Vh @ Q_a.mT).float()
