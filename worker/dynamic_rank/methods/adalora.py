"""adalora: sensitivity scores, a cubic budget that falls fast at first, orthonormal factors (Zhang et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..schedule.config import DynamicRankConfig
from .dynamic_rank import DynamicRank
from .plain import AdapterOptions


@dataclass(frozen=True, kw_only=True)
class AdaLoraOptions(AdapterOptions):
    """Options of AdaLoRA, as in DynamicRankConfig. orth_reg_weight is the weight of the orthogonality term.

    In PEFT's AdaLoraConfig: target_rank = target_r, initial_rank = init_r, warmup_ratio = tinit / total_step,
    prune_end_ratio = 1 - tfinal / total_step, prune_interval = deltaT.
    """

    target_rank: int = 8
    initial_rank: int | None = None
    warmup_ratio: float = 0.15
    prune_end_ratio: float = 0.5
    prune_interval: int = 100
    beta1: float = 0.85
    beta2: float = 0.85
    orth_reg_weight: float = 0.5
    compact: bool = True

    def config(self) -> DynamicRankConfig:
        """The configuration of dynamic rank that implements AdaLoRA. ValueError for invalid options."""
        values = asdict(self)
        values["beta"] = values.pop("beta1")
        values["eta"] = values.pop("orth_reg_weight")
        return DynamicRankConfig(
            **values,
            score="adalora",
            init="gaussian",
            schedule="fast_first",
            pruning_phase="absolute",  # as PEFT's allocator: step % deltaT == 0
            regularizer="orthogonal",
        )


class AdaLora(DynamicRank):
    """AdaLoRA implemented on this library's components, with exact budget, resume, compaction and export.

    PEFT's AdaLoRA can't resume while the budget falls, keeps pruned components until the end, adds its regulariser to the
    evaluation loss too, and never prunes unless the training loop calls it (PEFT issues 432, 1327, 1801, 3373). The scores
    are equal (tested); a fractional budget is rounded up here and down in PEFT.
    """

    key = "adalora"

    def __init__(self, options: AdaLoraOptions) -> None:
        super().__init__(options.config())
        self._options = options

    @property
    def options(self) -> Mapping[str, Any]:
        return asdict(self._options)
