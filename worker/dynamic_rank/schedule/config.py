"""DynamicRankConfig: every option of a dynamic-rank run, validated when it is created. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from .checks import check_choice, check_number, check_truth, check_whole, target_tuple
from .window import PruningWindow, least_steps, pruning_window

Score = Literal["norm_share", "norm", "abs_c", "sensitivity", "adalora", "random"]
Init = Literal["paper", "zero_b", "small_random", "gaussian"]
Regularizer = Literal["dem", "orthogonal"]
ScheduleShape = Literal["slow_first", "fast_first", "linear"]
PruningPhase = Literal["window", "absolute"]
BudgetUnit = Literal["components", "parameters"]
SelectionRule = Literal["exact", "threshold"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "score": get_args(Score),
    "init": get_args(Init),
    "regularizer": get_args(Regularizer),
    "schedule": get_args(ScheduleShape),
    "pruning_phase": get_args(PruningPhase),
    "budget_unit": get_args(BudgetUnit),
    "selection": get_args(SelectionRule),
}


@dataclass(frozen=True)
class DynamicRankConfig:
    """Options of dynamic rank (Mao et al. 2024, arXiv 2405.17357). The defaults are those of the paper.

    target_rank      mean rank after pruning: the final budget is modules * target_rank
    initial_rank     initial rank; None means ceil(1.5 * target_rank)
    lora_alpha       the update is scaled by lora_alpha / initial_rank, before and after pruning
    lora_dropout     probability, applied to the input of A
    warmup_ratio     fraction of the steps before the first pruning (t_i)
    prune_end_ratio  fraction of the steps at which the mask becomes final (t_f)
    prune_interval   optimizer steps between two prunings
    pruning_phase    window: prune at t_i and every prune_interval steps after it, like the authors' program |
                     absolute: at the multiples of prune_interval in the window, like PEFT's AdaLoRA.
                     Both also prune at t_f
    beta             weight of the past in the smoothed importance (Eq. 8); AdaLoRA's beta1 with score adalora
    beta2            weight of the past in the smoothed uncertainty of score adalora
    eps              added to the norm of the module's update (Eq. 7)
    eta              weight of the regulariser; 0 disables it
    regularizer      dem: Eq. 10, until pruning ends | orthogonal: that of AdaLoRA, until training ends
    score            norm_share: Eq. 7 | norm: Eq. 7 without its denominator | abs_c: |c_i| |
                     sensitivity: |c_i dL/dc_i| | adalora: smoothed sensitivity times uncertainty of the whole
                     triplet | random: uniform noise from `seed`
    init             paper: A and B uniform within sqrt(6 / fan_in), c = 0, like the authors' program; as there,
                     weight decay applies to every trained parameter |
                     zero_b: B = 0 and c = 1, like LoRA |
                     small_random: A and B uniform within 1 / sqrt(fan_in), c = 0 |
                     gaussian: A and B normal with standard deviation 0.02, c = 0, like AdaLoRA
    c_lr_scale       learning rate of c relative to that of A and B
    schedule         slow_first: Eq. 9 | fast_first: AdaLoRA's cubic | linear
    budget_unit      components: each costs 1 (the paper) | parameters: each costs in + out of its module
    selection        exact: the number of live components equals the budget, also with ties | threshold: the authors'
                     rule, which prunes every score up to that of the best component beyond the budget, at least one
    compact          shrink the tensors after the final mask; False re-applies the mask after every step
    target_modules   full names or dotted suffixes; None adapts every linear module in a numbered block
    seed             seed of score random

    Raises ValueError, naming the field, its value and the fix.
    """

    target_rank: int = 8
    initial_rank: int | None = None
    lora_alpha: float = 8
    lora_dropout: float = 0.1
    warmup_ratio: float = 0.15
    prune_end_ratio: float = 0.5
    prune_interval: int = 100
    pruning_phase: PruningPhase = "window"
    beta: float = 0.9
    beta2: float = 0.85
    eps: float = 1e-8
    eta: float = 0.1
    regularizer: Regularizer = "dem"
    score: Score = "norm_share"
    init: Init = "paper"
    c_lr_scale: float = 1.0
    schedule: ScheduleShape = "slow_first"
    budget_unit: BudgetUnit = "components"
    selection: SelectionRule = "exact"
    compact: bool = True
    target_modules: Iterable[str] | str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("target_rank", "prune_interval"):
            check_whole(name, getattr(self, name), least=1)
        if self.initial_rank is None:
            object.__setattr__(self, "initial_rank", math.ceil(1.5 * self.target_rank))
        check_whole("initial_rank", self.initial_rank, least=1)
        if self.width < self.target_rank:
            raise ValueError(
                f"initial_rank={self.initial_rank} is below target_rank={self.target_rank}; "
                f"set initial_rank to at least {self.target_rank}, or omit it for 1.5 times the target."
            )
        check_whole("seed", self.seed, least=0)
        for name, allowed in _CHOICES.items():
            check_choice(name, getattr(self, name), allowed)
        check_number("lora_alpha", self.lora_alpha, above=0)
        check_number("c_lr_scale", self.c_lr_scale, above=0)
        check_number("eps", self.eps, above=0)
        check_number("eta", self.eta, least=0)
        check_number("lora_dropout", self.lora_dropout, least=0, below=1)
        check_number("beta", self.beta, least=0, below=1)
        check_number("beta2", self.beta2, least=0, below=1)
        check_number("warmup_ratio", self.warmup_ratio, least=0, below=1)
        check_number("prune_end_ratio", self.prune_end_ratio, above=0, most=1)
        if self.warmup_ratio >= self.prune_end_ratio:
            raise ValueError(
                f"warmup_ratio={self.warmup_ratio} is not below prune_end_ratio={self.prune_end_ratio}, so the pruning "
                "window is empty; lower warmup_ratio or increase prune_end_ratio."
            )
        check_truth("compact", self.compact)
        if self.selection == "threshold" and self.budget_unit == "parameters":
            raise ValueError(
                "selection='threshold' does not support budget_unit='parameters'; set selection='exact' or "
                "budget_unit='components'."
            )
        if self.target_modules is not None:
            object.__setattr__(self, "target_modules", target_tuple(self.target_modules))

    @property
    def needs_gradients(self) -> bool:
        """Whether the score uses gradients, which must be observed before the optimizer step."""
        return self.score in ("sensitivity", "adalora")

    @property
    def decays_every_parameter(self) -> bool:
        """Whether weight decay applies to every trained parameter, including the biases of the head."""
        return self.init == "paper"

    @property
    def width(self) -> int:
        """initial_rank, or its default if it is None."""
        return int(self.initial_rank or 0)

    def window(self, total_steps: int) -> PruningWindow:
        """The pruning window (t_i, t_f) of a run of `total_steps` optimizer steps, rounded down."""
        return pruning_window(total_steps, self.warmup_ratio, self.prune_end_ratio)

    def check_schedule(self, total_steps: int) -> None:
        """Raise ValueError, with the fix, if a run of `total_steps` optimizer steps is too short for one interval."""
        check_whole("total_steps", total_steps, least=1)
        window = self.window(total_steps)
        if window.length >= self.prune_interval:
            return
        needed = least_steps(self.warmup_ratio, self.prune_end_ratio, self.prune_interval)
        fix = f"Set prune_interval to at most {window.length}, or train" if window.length >= 1 else "Train"
        raise ValueError(
            f"prune_interval={self.prune_interval} does not fit: the pruning window of a run of {total_steps} steps "
            f"is {window.length} steps long (steps {window.start} to {window.end}, from warmup_ratio={self.warmup_ratio} "
            f"and prune_end_ratio={self.prune_end_ratio}). {fix} for about {needed} steps, or widen the window."
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-serialisable values."""
        values = asdict(self)
        if isinstance(self.target_modules, tuple):
            values["target_modules"] = list(self.target_modules)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DynamicRankConfig:
        """Create a config from its fields. ValueError for an unknown field (the message lists the known ones)."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"Unknown option {name!r} of dynamic_rank; known options are {', '.join(known)}.")
        return cls(**values)
