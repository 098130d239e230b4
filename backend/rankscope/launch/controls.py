"""Fair opponents of a finished run: the same model, data and steps at the same kept budget, by simpler means."""

from collections.abc import Mapping

from rankscope.contract.config import RunConfig
from rankscope.contract.methods import ControlMethod, FullMethod, LoraMethod
from rankscope.contract.presets import Preset


def controls(config: RunConfig, ranks: Mapping[str, int]) -> list[Preset]:
    """Configurations to launch beside a run that ended with `ranks` (module name -> rank); none for full fine-tuning."""
    method = config.method
    if isinstance(method, FullMethod) or not any(ranks.values()):
        return []
    mean = sum(ranks.values()) / len(ranks)
    even = max(1, round(mean))
    alpha, dropout = method.lora_alpha, method.lora_dropout
    rate = _rate(config)
    own = config.training.learning_rate
    told = "" if rate == own else f" At learning rate {rate:g}: this run's {own:g} is too high for plain LoRA."
    targets = None if isinstance(method, ControlMethod) else method.target_modules
    return [
        Preset(
            "control",
            "Control: plain LoRA with these ranks",
            f"From scratch with the ranks that this run ended with: does its allocation help by itself?{told}",
            _with(config, ControlMethod(rank_pattern=dict(ranks), lora_alpha=alpha, lora_dropout=dropout), rate),
        ),
        Preset(
            "lora",
            f"LoRA at this budget (rank {even})",
            f"Every module has rank {even}; this run kept {mean:.3g} in the mean.{told}",
            _with(config, LoraMethod(rank=even, target_modules=targets, lora_alpha=alpha, lora_dropout=dropout), rate),
        ),
    ]


def _rate(config: RunConfig) -> float:
    method, rate = config.method, config.training.learning_rate
    wants_more = method.own_rate(method.model_dump()) > LoraMethod.learning_rate
    return min(rate, LoraMethod.learning_rate) if wants_more else rate


def _with(config: RunConfig, method: ControlMethod | LoraMethod, learning_rate: float) -> RunConfig:
    training = config.training.model_copy(update={"learning_rate": learning_rate})
    return config.model_copy(update={"method": method, "training": training, "steering": []})
