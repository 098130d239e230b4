"""The configuration of a trial's run."""

import random
from collections.abc import Mapping, Sequence

from dynamic_rank.schedule.largest_remainder import assign_ranks
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import NotFound
from rankscope.contract.experiments.design import ControlKind, Design, TrialPurpose, Variant
from rankscope.contract.experiments.tables import Trial
from rankscope.contract.methods import METHODS, AnyMethod, Method
from rankscope.contract.stored import StoredConfig, StoredModule
from rankscope.launch.changes import merge
from rankscope.store.experiments import trials
from rankscope.store.experiments.plan import LEARNING_RATE

VALIDATION_SHARE = 0.15
"""Of the training rows, in trials for tuning."""


def method_at(variant: Variant, budget: float, total_steps: object) -> AnyMethod:
    """Returns the variant's method at a mean rank. Raises ValidationError."""
    kind = METHODS[str(variant.method)]
    options: dict[str, object] = {**variant.options, **kind.options_at_budget(round(budget))}
    defaults = {name: field.default for name, field in kind.model_fields.items()} | options
    interval = kind.interval_that_fits(defaults, total_steps) if isinstance(total_steps, int) else None
    if interval is not None and "prune_interval" not in variant.options:
        options["prune_interval"] = interval
    return kind.model_validate(options)


def without_method(config: RunConfig) -> StoredConfig:
    return {name: value for name, value in config.model_dump(mode="json").items() if name != "method"}


def trial_config(
    design: Design, trial: Trial, source: Trial | None = None, modules: Sequence[StoredModule] = ()
) -> RunConfig:
    """Returns the configuration of a trial's run. `source`: the trial whose ranks it gets, and the modules of that trial's run.

    Raises ValidationError, and NotFound if the source lacks what is needed.
    """
    variant = next(one for one in design.variants if one.name == trial.variant)
    task = next(one for one in design.tasks if one.name == trial.task)
    base = dict(task.base or {})
    training = base.get("training")
    steps = training.get("max_steps") if isinstance(training, Mapping) else None
    method: Method = method_at(variant, trial.budget, steps)
    if variant.control == ControlKind.random_score:
        method = method.with_random_score() or method
    elif variant.control is not None:
        of = next(one for one in design.variants if one.name == variant.of)
        ranks = _given_ranks(variant.control, trial, source, modules)
        found = (kind.with_ranks(ranks, method_at(of, trial.budget, steps)) for kind in METHODS.values())
        method = next(one for one in found if one is not None)
    rate = trials.learning_rate_of(trial) or _untuned_rate(design, variant, training)
    changes: dict[str, object] = {
        "method": method.model_dump(mode="json"),
        "training": {"seed": trial.seed, **({} if rate is None else {"learning_rate": rate})},
    }
    if trial.purpose == TrialPurpose.tune:
        changes["data"] = {"validation_fraction": VALIDATION_SHARE}
    return RunConfig.model_validate(merge(base, changes))


def _untuned_rate(design: Design, variant: Variant, training: object) -> float | None:
    """The configuration's rate; if a variant with a higher usual rate exists, at most the usual rate of this one."""
    rate = training.get(LEARNING_RATE) if isinstance(training, Mapping) else None
    usual = {one.name: METHODS[one.method].proposed_learning_rate(one.options) for one in design.variants if one.method}
    own = usual.get(variant.name)
    if not isinstance(rate, int | float) or own is None:
        return None
    return min(rate, own) if max(usual.values()) > own else rate


def _given_ranks(
    control: ControlKind, trial: Trial, source: Trial | None, modules: Sequence[StoredModule]
) -> dict[str, int]:
    if source is None or not source.ranks or source.kept_parameters is None:
        raise NotFound("The trial whose ranks it needs has no ranks.", "Repeat that trial.")
    ranks = {name: int(rank) for name, rank in source.ranks.items() if isinstance(rank, int)}
    if control in (ControlKind.found_ranks, ControlKind.other_seed_ranks):
        return ranks
    shapes = {one["name"]: (one["out_features"], one["in_features"]) for one in modules}
    if not ranks.keys() <= shapes.keys():
        raise NotFound("The run whose ranks it needs was deleted.", "Keep the runs of an experiment until it is done.")
    if control == ControlKind.permuted_ranks:
        return permuted(ranks, shapes, trial.seed)
    costs = [sum(shapes[name]) for name in ranks]
    equal = assign_ranks([1.0] * len(costs), costs, source.kept_parameters, least=0, most=[1024] * len(costs))
    return dict(zip(ranks, equal, strict=True))


def permuted(ranks: Mapping[str, int], shapes: Mapping[str, tuple[int, int]], seed: int) -> dict[str, int]:
    """Returns the ranks, permuted at random among modules of equal shape."""
    by_shape: dict[tuple[int, int], list[str]] = {}
    for name in ranks:
        by_shape.setdefault(shapes[name], []).append(name)
    dice = random.Random(seed)
    dealt = dict(ranks)
    for names in by_shape.values():
        values = [ranks[name] for name in names]
        dice.shuffle(values)
        dealt |= dict(zip(names, values, strict=True))
    return dealt
