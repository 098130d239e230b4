"""control: plain LoRA trained from scratch with the ranks of a finished run, to test whether its allocation helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peft import PeftModel
from torch import nn

from ..adapter.targets import is_linear
from ..schedule.checks import check_whole
from ..schedule.module_names import ModuleNames
from .plain import AdapterOptions, PlainLora
from .protocol import ModulesToSave


@dataclass(frozen=True, kw_only=True)
class ControlOptions(AdapterOptions):
    """Options of `control`.

    rank_pattern  rank of each module by its full name, as in rank_pattern.json of an export. Modules at rank 0, or not
                  named, are not adapted
    scale_rank    the update of every module is scaled by lora_alpha / scale_rank; None uses the rounded mean rank, which
                  gives the scale of a LoRA at equal budget
    """

    rank_pattern: Mapping[str, int]
    scale_rank: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.rank_pattern, Mapping) or not self.rank_pattern:
            raise ValueError(
                f"rank_pattern={self.rank_pattern!r} has no modules; pass the ranks of a finished run, as in its "
                "rank_pattern.json."
            )
        for name, rank in self.rank_pattern.items():
            check_whole(f"rank_pattern[{name!r}]", rank, least=0)
        if not any(self.rank_pattern.values()):
            raise ValueError("rank_pattern has rank 0 for every module, so there is nothing to train; increase some.")
        if self.scale_rank is not None:
            check_whole("scale_rank", self.scale_rank, least=1)
        if self.target_modules is not None:
            raise ValueError("The names in rank_pattern are the target modules; remove target_modules.")
        super().__post_init__()


class Control(PlainLora):
    """LoRA with ranks from a pattern, which never change."""

    key = "control"

    def __init__(self, options: ControlOptions) -> None:
        super().__init__(options)
        self._pattern = dict(options.rank_pattern)
        self.width = max(self._pattern.values())
        mean = sum(self._pattern.values()) / len(self._pattern)
        self._scale = options.lora_alpha / (options.scale_rank or max(1, round(mean)))

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        wrapped = super().prepare(model, task_type, modules_to_save)
        for pair in self.pairs:
            rank = self._pattern[pair.name]
            # The rows of A have the same distribution and B is zero, so a slice of a LoRA is a LoRA of lower rank.
            pair.replace(pair.A[:rank], pair.B[:, :rank])
            pair.scaling = self._scale
        return wrapped

    def _wrap(self, model: nn.Module, task_type: object, **options: Any) -> PeftModel:
        linears = ModuleNames(name for name, module in model.named_modules() if is_linear(module))
        pattern = {}
        for wanted, rank in self._pattern.items():
            name = linears.find(wanted)
            if name is None:
                raise ValueError(
                    f"rank_pattern names {wanted!r}, which is not a linear module of this model; use full module names, and "
                    "the model of the run that the pattern comes from."
                )
            pattern[name] = rank
        self._pattern, self._targets = pattern, tuple(pattern)
        return super()._wrap(model, task_type, **options)
