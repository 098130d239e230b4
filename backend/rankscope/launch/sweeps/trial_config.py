"""The configuration of a trial's run."""

from collections.abc import Mapping

from rankscope.contract.config import RunConfig
from rankscope.contract.methods import METHODS
from rankscope.contract.stored import StoredConfig
from rankscope.contract.sweeps.design import BUDGET, Values
from rankscope.launch.changes import merge
from rankscope.launch.method_switch import switch_method

_LENGTHS = {"training.max_steps": "epochs", "training.epochs": "max_steps"}
"""Parameter -> the field that must be empty if it is set."""


def trial_config(base: Mapping[str, object], values: Values, seed: int) -> RunConfig:
    """Returns a configuration with the values of a point. Raises ValidationError.

    If the point has another method than `base`, the budget, common options and the learning rate are kept.
    """
    config: dict[str, object] = dict(base)
    name = values.get("method.name")
    before = config.get("method")
    if isinstance(name, str) and isinstance(before, Mapping) and name in METHODS and name != before.get("name"):
        training = config.get("training")
        config = {**switch_method(config, name).config, "training": training}
    changes: dict[str, object] = {}
    budget, method = values.get(BUDGET), config.get("method")
    if isinstance(budget, int | float) and isinstance(method, Mapping):
        kind = METHODS[str(method.get("name"))]
        changes = {"method": dict(kind.options_at_budget(round(budget)))}
    for path, value in values.items():
        if path not in (BUDGET, "method.name"):
            changes = merge(changes, _nested(path, value))
            if path in _LENGTHS:
                changes = merge(changes, {"training": {_LENGTHS[path]: None}})
    return RunConfig.model_validate(merge(config, merge(changes, {"training": {"seed": seed}})))


def without_steering(config: RunConfig) -> StoredConfig:
    return config.model_copy(update={"steering": []}).model_dump(mode="json")


def _nested(path: str, value: object) -> dict[str, object]:
    top, _, rest = path.partition(".")
    return {top: _nested(rest, value)} if rest else {top: value}
