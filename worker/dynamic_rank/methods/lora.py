"""lora: PEFT's LoRA at one fixed rank, optionally as rsLoRA; the baseline at equal budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peft import PeftModel
from torch import nn

from ..schedule.checks import check_truth, check_whole
from .plain import AdapterOptions, PlainLora


@dataclass(frozen=True, kw_only=True)
class LoraOptions(AdapterOptions):
    """Options of `lora`.

    rank        rank of every module
    use_rslora  scale the update by alpha / sqrt(rank) instead of alpha / rank (Kalajdzievski 2023)
    """

    rank: int = 8
    use_rslora: bool = False

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, least=1)
        check_truth("use_rslora", self.use_rslora)
        super().__post_init__()


class Lora(PlainLora):
    """LoRA with the same rank in every module."""

    key = "lora"

    def __init__(self, options: LoraOptions) -> None:
        super().__init__(options)
        self.width = options.rank
        self._use_rslora = options.use_rslora

    def _wrap(self, model: nn.Module, task_type: object, **options: Any) -> PeftModel:
        return super()._wrap(model, task_type, use_rslora=self._use_rslora, **options)
