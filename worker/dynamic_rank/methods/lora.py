"""lora: PEFT's LoRA at one fixed rank, with rsLoRA as an option; the baseline at equal budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peft import PeftModel
from torch import nn

from ..schedule.checks import check_truth, check_whole
from .plain import AdapterOptions, PlainLora


@dataclass(frozen=True, kw_only=True)
class LoraOptions(AdapterOptions):
    """rank: of every module. use_rslora: scale by alpha / sqrt(rank) (Kalajdzievski 2023)."""

    rank: int = 8
    use_rslora: bool = False

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, least=1)
        check_truth("use_rslora", self.use_rslora)
        super().__post_init__()


class Lora(PlainLora):
    """One rank everywhere, from start to end."""

    key = "lora"

    def __init__(self, options: LoraOptions) -> None:
        super().__init__(options)
        self.width = options.rank
        self._use_rslora = options.use_rslora

    def _wrap(self, model: nn.Module, task_type: object, **options: Any) -> PeftModel:
        return super()._wrap(model, task_type, use_rslora=self._use_rslora, **options)
