"""What a configuration would do: steps, rows, parameters and the planned budget, without loading a weight."""

import math
import platform
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticCustomError

from rankscope import __version__
from rankscope.catalog import Catalog, DatasetEntry, LinearModule, ModelEntry
from rankscope.catalog.splits import SplitCounts
from rankscope.contract.budget import pruning_window
from rankscope.contract.config import MOST_STEPS, RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.methods import (
    AnyMethod,
    BudgetedMethod,
    ControlMethod,
    DynamicRankMethod,
    EvaMethod,
    FullMethod,
    LoraShrinkMethod,
    SoraMethod,
    check_schedule,
)
from rankscope.contract.steered_budget import BudgetPlan, PlannedCurve, steered_curve
from rankscope.launch.plan_options import option_problems, option_warnings

MOST_CONFIG_BYTES = 100_000
MOST_MODULES = 10_000


@dataclass(frozen=True)
class RunPlan:
    """`config` has every default filled in, so that it says alone what will be computed."""

    config: RunConfig
    dataset: DatasetEntry
    split: SplitCounts
    """How the data set is used: its columns, its classes, and what is left out."""
    total_steps: int
    train_rows: int
    eval_rows: int
    n_modules: int
    trained_parameters: int
    """Adapter (full: the model) and head, at the start."""
    kept_parameters: int
    """Adapter at the end, without the head (full: the model). An estimate where ranks move: every module at the mean rank;
    for sora, whose gates know no budget, the most that it can be."""
    is_estimate: bool
    """Whether n_modules and trained_parameters may differ from the run's: the model's files do not settle them."""
    model_parameters: int
    context_length: int | None
    """Most tokens that the model takes in one text; None where it has no limit."""
    curve: PlannedCurve
    """Live components that are allowed from each pruning on; without points where there are no ranks."""
    warnings: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)


def make_plan(config: RunConfig, catalog: Catalog) -> RunPlan:
    """Resolves a configuration against this installation; BadInput names the field that cannot work."""
    _check_size(config)
    model = catalog.model(config.model.id)
    dataset = catalog.dataset(config.data.id)
    parts = catalog.count_split(dataset, config.data, config.task)
    modules = _target_modules(config, model)
    if len(modules) > MOST_MODULES:
        raise BadInput(
            [
                FieldProblem(
                    "config.method.target_modules",
                    None,
                    f"fits {len(modules):,} layers of {model.id}; a run adapts at most {MOST_MODULES:,}",
                    "Name some of them in target_modules.",
                )
            ]
        )
    total_steps = _total_steps(config, parts.train_rows)
    resolved = _resolve(config, dataset, parts, total_steps, model.context_length)
    problems = option_problems(resolved, modules)
    if problems:
        raise BadInput(problems)
    outputs = resolved.task.head_outputs(parts.labels)
    known_head = 0 if outputs is None else model.head_parameters(outputs)
    head = known_head or 0
    method = resolved.method
    is_estimate = known_head is None or not model.is_exact
    if isinstance(method, FullMethod):
        trained = kept = model.body_parameters + head
        is_estimate |= not model.is_body_exact
    else:
        start, end = _module_ranks(method, modules)
        costs = [module.out_features + module.in_features for module in modules]
        # Methods on rank-1 components train a scale for each besides; they are folded into B at the end.
        has_scales = isinstance(method, BudgetedMethod | SoraMethod)
        trained = sum(rank * (cost + has_scales) for rank, cost in zip(start, costs, strict=True)) + head
        kept = sum(rank * cost for rank, cost in zip(end, costs, strict=True))
        # EVA deals the same number of components to modules of other sizes.
        is_estimate |= isinstance(method, EvaMethod) and len(set(costs)) > 1
    curve = planned_curve(resolved, len(modules), total_steps)
    return RunPlan(
        config=resolved,
        dataset=dataset,
        split=parts,
        total_steps=total_steps,
        train_rows=parts.train_rows,
        eval_rows=parts.eval_rows,
        n_modules=len(modules),
        trained_parameters=trained,
        kept_parameters=kept,
        is_estimate=is_estimate,
        model_parameters=model.parameters,
        context_length=model.context_length,
        curve=curve,
        warnings=[
            *_model_warnings(config, model),
            *_warnings(resolved, parts, total_steps),
            *option_warnings(resolved, modules, total_steps),
        ],
        environment={
            "rankscope": __version__,
            "python": platform.python_version(),
            "model_fingerprint": model.fingerprint,
            "data_fingerprint": dataset.fingerprint,
            "train_rows": parts.train_rows,
            "eval_rows": parts.eval_rows,
            "labels": parts.labels,
            "n_modules": len(modules),
        },
    )


def _check_size(config: RunConfig) -> None:
    """Lists and texts have limits of their own; this is the one of all together, which every answer about the run repeats."""
    size = len(config.model_dump_json().encode())
    if size > MOST_CONFIG_BYTES:
        raise BadInput(
            [
                FieldProblem(
                    "config",
                    None,
                    f"is {size:,} bytes as JSON; a configuration has at most {MOST_CONFIG_BYTES:,}",
                    "Shorten its lists: name fewer modules, or name them by their common end.",
                )
            ]
        )


def budget_plan(method: BudgetedMethod, n_modules: int, total_steps: int) -> BudgetPlan:
    """What decides the budget of a run before anything is steered."""
    return BudgetPlan(
        modules=n_modules,
        initial_rank=method.resolved_initial_rank,
        target_rank=method.target_rank,
        window=pruning_window(total_steps, method.warmup_ratio, method.prune_end_ratio),
        interval=method.prune_interval,
        phase=method.phase,
        shape=method.budget_schedule,
    )


def planned_curve(config: RunConfig, n_modules: int, total_steps: int) -> PlannedCurve:
    """The budget over the steps, and the steps at which components are pruned; empty without ranks.

    `config.steering` is part of the plan: after an act of steering the rest of the curve is what is in force now.
    """
    method = config.method
    if isinstance(method, FullMethod) or not n_modules:
        return PlannedCurve([], [], 0)
    if isinstance(method, BudgetedMethod):
        return steered_curve(budget_plan(method, n_modules, total_steps), total_steps, config.steering)
    if isinstance(method, LoraShrinkMethod):
        b0, bT = n_modules * method.resolved_initial_rank, n_modules * method.target_rank
        cut = method.shrink_step(total_steps)
        return PlannedCurve([(0, b0), (cut, bT), (total_steps, bT)], [cut], 1)
    budget = sum(method.rank_pattern.values()) if isinstance(method, ControlMethod) else n_modules * method.rank
    return PlannedCurve([(0, budget), (total_steps, budget)], [], 0)


def _module_ranks(method: AnyMethod, modules: list[LinearModule]) -> tuple[list[int], list[int]]:
    """Rank of each module at the start, and planned at the end: the mean where only that is known."""
    match method:
        case BudgetedMethod() | LoraShrinkMethod():
            start, end = method.resolved_initial_rank, method.target_rank
        case ControlMethod():
            pattern = list(method.rank_pattern.values())
            return pattern, pattern
        case FullMethod():
            start = end = 0
        case _:
            start = end = method.rank
    return [start] * len(modules), [end] * len(modules)


def _target_modules(config: RunConfig, model: ModelEntry) -> list[LinearModule]:
    method = config.method
    if isinstance(method, FullMethod):
        if model.is_quantised:
            raise BadInput(
                [
                    FieldProblem(
                        "config.method.name",
                        method.name,
                        f"trains all weights, and those of {model.id} are quantised",
                        "Use an adapter method, or the model's unquantised version.",
                    )
                ]
            )
        return []
    if isinstance(method, ControlMethod):
        return _named_modules(method, model)
    if method.target_modules is None:
        if not model.modules:
            raise BadInput(
                [
                    FieldProblem(
                        "config.model.id",
                        model.id,
                        "has no linear layers in numbered blocks to adapt",
                        "Use method full, or another model.",
                    )
                ]
            )
        return list(model.modules)
    problems = []
    chosen: list[LinearModule] = []
    available = [*model.modules, *model.outside]
    for index, wanted in enumerate(method.target_modules):
        # PEFT's rule: the whole name, or its end from a dot on.
        fits = [module for module in available if f".{module.name}".endswith(f".{wanted}")]
        chosen += [module for module in fits if module not in chosen]
        if not fits:
            kinds = ", ".join(dict.fromkeys(module.name.rsplit(".", 1)[-1] for module in available))
            problems.append(
                FieldProblem(
                    f"config.method.target_modules.{index}",
                    wanted,
                    f"is {wanted!r}, which no layer is called",
                    f"Use names such as {kinds}, or leave target_modules empty for all.",
                )
            )
    if problems:
        raise BadInput(problems)
    return chosen


def _named_modules(method: ControlMethod, model: ModelEntry) -> list[LinearModule]:
    """The layers that a rank pattern names, in its order. The model's files may lack the prefix of a full name."""
    by_end = {module.name: module for module in [*model.modules, *model.outside]}
    chosen, problems = [], []
    for name in method.rank_pattern:
        parts = name.split(".")
        ends = (".".join(parts[start:]) for start in range(len(parts)))
        found = next((by_end[end] for end in ends if end in by_end), None)
        if found is not None:
            chosen.append(found)
            continue
        problems.append(
            FieldProblem(
                "config.method.rank_pattern",
                name,
                f"names {name!r}, which is no layer of {model.id}",
                "Use the pattern of a run on this model, with full module names.",
            )
        )
    if problems:
        raise BadInput(problems[:5])
    return chosen


def _total_steps(config: RunConfig, train_rows: int) -> int:
    training = config.training
    if training.max_steps is not None:
        return training.max_steps
    batches = math.ceil(train_rows / training.batch_size)
    total = math.ceil((training.epochs or 0) * math.ceil(batches / training.gradient_accumulation))
    if total > MOST_STEPS:
        raise BadInput(
            [
                FieldProblem(
                    "config.training.epochs",
                    training.epochs,
                    f"is {total:,} optimizer steps with {train_rows:,} training rows; a run has at most {MOST_STEPS:,}",
                    "Lower epochs, or raise batch_size or gradient_accumulation.",
                )
            ]
        )
    try:
        check_schedule(config.method, total)
    except PydanticCustomError as error:
        context = error.context or {}
        path = ".".join(["config", *context["field"]])
        raise BadInput([FieldProblem(path, context["value"], context["message"], context["next_step"])]) from error
    return total


def _resolve(
    config: RunConfig, dataset: DatasetEntry, parts: SplitCounts, total_steps: int, context_length: int | None
) -> RunConfig:
    method, max_length = config.method, config.training.max_length
    if context_length is not None:
        max_length = min(max_length, context_length)
    if isinstance(method, BudgetedMethod | LoraShrinkMethod):
        method = method.model_copy(update={"initial_rank": method.resolved_initial_rank})
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"id": dataset.id, "group_column": parts.group_column}),
            "task": config.task.with_columns(parts.text_columns, parts.target_column),
            "method": method,
            "training": config.training.model_copy(
                update={"max_steps": total_steps, "epochs": None, "max_length": max_length}
            ),
        }
    )


def _model_warnings(config: RunConfig, model: ModelEntry) -> list[str]:
    warnings = []
    wanted, most = config.training.max_length, model.context_length
    if most is not None and wanted > most:
        warnings.append(f"{model.name} takes at most {most} tokens: max_length {wanted} is lowered to {most}.")
    if not model.is_exact:
        warnings.append(
            f"Not all layers of {model.name} are known here: the numbers of modules and parameters are an estimate."
        )
    return warnings


def _warnings(config: RunConfig, parts: SplitCounts, total_steps: int) -> list[str]:
    warnings = list(parts.warnings)
    method, training = config.method, config.training
    rows_a_step = training.batch_size * training.gradient_accumulation
    if rows_a_step > parts.train_rows:
        warnings.append(
            f"One step takes {rows_a_step} rows, and there are only {parts.train_rows} training rows: "
            "lower batch_size or gradient_accumulation."
        )
    if (
        isinstance(method, DynamicRankMethod)
        and method.init == "paper"
        and total_steps < 2000
        and training.learning_rate < 3e-3
    ):
        warnings.append(
            f"With the paper's start and {total_steps} steps, learning rate {training.learning_rate:g} is likely "
            "too low: use about 1e-2, or init zero_b."
        )
    if training.eval_every > total_steps:
        warnings.append(
            f"eval_every {training.eval_every} is above the {total_steps} steps: there is one evaluation, at the end."
        )
    if parts.eval_rows < 100:
        warnings.append(
            f"Only {parts.eval_rows} evaluation rows: differences in {config.task.headline().short_title} "
            "will be mostly noise."
        )
    return warnings
