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
    adapter = {"lora_alpha": method.lora_alpha, "lora_dropout": method.lora_dropout}
    targets = None if isinstance(method, ControlMethod) else method.target_modules
    return [
        Preset(
            "control", "Control: plain LoRA with these ranks",
            "From scratch with the ranks that this run ended with: does its allocation help by itself?",
            _with(config, ControlMethod(rank_pattern=dict(ranks), **adapter)),
        ),
        Preset(
            "lora", f"LoRA at this budget (rank {even})",
            f"Every module has rank {even}; this run kept {mean:.3g} in the mean.",
            _with(config, LoraMethod(rank=even, target_modules=targets, **adapter)),
        ),
    ]  # fmt: skip


def _with(config: RunConfig, method: ControlMethod | LoraMethod) -> RunConfig:
    return config.model_copy(update={"method": method, "steering": []})
