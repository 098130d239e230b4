"""Baselines for a finished run: the same model, data and steps at the same kept budget, with simpler methods."""

from collections.abc import Mapping

from rankscope.contract.config import RunConfig
from rankscope.contract.methods import BASELINES, Method
from rankscope.contract.preset import Preset


def controls(config: RunConfig, ranks: Mapping[str, int]) -> list[Preset]:
    """Baselines for a run that ended with `ranks` (module name -> rank); none for a method without ranks."""
    if not config.method.has_ranks or not any(ranks.values()):
        return []
    presets = []
    for kind in BASELINES:
        baseline = kind.baseline(config.method, ranks)
        if baseline is None:
            continue
        own, rate = config.training.learning_rate, _rate(config, kind)
        lowered = "" if rate == own else f" At learning rate {rate:g}: this run's {own:g} is too high for plain LoRA."
        training = config.training.model_copy(update={"learning_rate": rate})
        presets.append(
            Preset(
                kind.key(),
                baseline.title,
                f"{baseline.description}{lowered}",
                config.model_copy(update={"method": baseline.method, "training": training, "steering": []}),
            )
        )
    return presets


def _rate(config: RunConfig, kind: type[Method]) -> float:
    """The run's learning rate, or the baseline's usual one if the run's method needs a higher one."""
    method, rate = config.method, config.training.learning_rate
    needs_more = method.proposed_learning_rate(method.model_dump()) > kind.learning_rate
    return min(rate, kind.learning_rate) if needs_more else rate
