"""Groups of runs with equal configurations except for the seed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rankscope.contract.config import RunConfig
from rankscope.contract.tables import Run
from rankscope.launch.changes import flat

_SEED = "training.seed"
_NEUTRAL = frozenset(
    {
        _SEED,
        "task.headline_metric",
        "training.best_metric",
        "training.checkpoint_every",
        "training.checkpoint_minutes",
        "training.keep_checkpoints",
        "training.keep_best",
        "training.on_disk_full",
        "training.after_done",
        "training.raw_scores",
        "hardware.gradient_checkpointing",
    }
)
"""Fields that may differ within a group: the seed, and what doesn't affect the result."""
_SEED_IN_NAME = re.compile(r"[\s,;·(\[_-]*\bseed[\s=_-]*\d+[)\]]?$", re.IGNORECASE)


@dataclass(frozen=True)
class RunGroup:
    """`members`: places in the list of runs. `seeds`: of each member."""

    name: str
    members: tuple[int, ...]
    seeds: tuple[int, ...]


def single_groups(runs: Sequence[Run], configs: Sequence[RunConfig]) -> list[RunGroup]:
    """One group per run."""
    return [
        RunGroup(run.name, (place,), (config.training.seed,))
        for place, (run, config) in enumerate(zip(runs, configs, strict=True))
    ]


def seed_groups(runs: Sequence[Run], configs: Sequence[RunConfig]) -> list[RunGroup]:
    """Groups of runs that differ only in their seed, in the order of their first runs."""
    members: dict[str, list[int]] = {}
    for place, (run, config) in enumerate(zip(runs, configs, strict=True)):
        members.setdefault(_identity(run, config), []).append(place)
    return [
        RunGroup(
            _shared_name([runs[place].name for place in places]),
            tuple(places),
            tuple(configs[place].training.seed for place in places),
        )
        for places in members.values()
    ]


def _identity(run: Run, config: RunConfig) -> str:
    """Everything that a run's result depends on, except for its seed."""
    fields = {name: value for name, value in flat(config.model_dump(mode="json")).items() if name not in _NEUTRAL}
    inputs = [run.environment.get("model_fingerprint"), run.environment.get("data_fingerprint")]
    # A fork has trained with its parent's configuration up to its first step.
    return json.dumps([fields, inputs, run.parent_id, run.parent_step], sort_keys=True)


def _shared_name(names: Sequence[str]) -> str:
    """The first run's name, without its seed if there are several runs."""
    return names[0] if len(names) == 1 else without_seed(names[0])


def without_seed(name: str) -> str:
    """The name without a seed at its end."""
    return _SEED_IN_NAME.sub("", name) or name
