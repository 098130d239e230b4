"""Plans a configuration: steps, rows, parameters and the budget curve, without loading any weights."""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic_core import PydanticCustomError

from dynamic_rank.schedule.curve import PlannedCurve, steered_curve
from dynamic_rank.schedule.module_names import ModuleNames
from rankscope import __version__
from rankscope.catalog import Catalog, DatasetEntry, LinearModule, ModelEntry
from rankscope.catalog.data.splits import SplitCounts
from rankscope.contract.config import MAX_STEPS, RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.stored import Environment
from rankscope.launch.model_fit import loaded_part, model_problems
from rankscope.launch.plan_data import resolved_data, split_warnings
from rankscope.launch.plan_options import option_problems, option_warnings

MAX_CONFIG_BYTES = 100_000
MAX_MODULES = 10_000


@dataclass(frozen=True)
class RunPlan:
    """`config` has every default filled in, so it fully determines the run."""

    config: RunConfig
    model: ModelEntry
    modules: list[LinearModule]
    """The adapted layers; empty if all weights are trained."""
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
    """Adapter at the end, without the head (full: the model). If ranks change, an estimate with every module at the mean rank;
    without a budget, an upper bound."""
    is_estimate: bool
    """Whether n_modules and trained_parameters may differ from the run's: the model's files don't determine them."""
    model_parameters: int
    context_length: int | None
    """Largest number of tokens in one text; None if the model has no limit."""
    curve: PlannedCurve
    """Allowed live components from each pruning on; no points if there are no ranks."""
    warnings: list[str] = field(default_factory=list)
    environment: Environment = field(default_factory=Environment)


def make_plan(config: RunConfig, catalog: Catalog) -> RunPlan:
    """Resolves a configuration against this installation; BadInput names the invalid field."""
    _check_size(config)
    model = catalog.model(config.model.id)
    dataset = catalog.dataset(config.data.id)
    problems = model_problems(config, model)
    if problems:
        raise BadInput(problems)
    model = loaded_part(config, model)
    parts = catalog.count_split(dataset, config.data, config.task)
    modules = _target_modules(config, model)
    if len(modules) > MAX_MODULES:
        raise BadInput(
            [
                FieldProblem(
                    "config.method.target_modules",
                    None,
                    f"fits {len(modules):,} layers of {model.id}; a run adapts at most {MAX_MODULES:,}",
                    "Name some of them in target_modules.",
                )
            ]
        )
    total_steps = _total_steps(config, parts.train_rows)
    resolved = _resolve(config, dataset, parts, total_steps, model.context_length)
    problems = [*option_problems(resolved, modules), *_checkpointing_problems(resolved, model)]
    if problems:
        raise BadInput(problems)
    outputs = resolved.task.head_outputs(parts.labels)
    known_head = 0 if outputs is None else model.head_parameters(outputs, is_linear=resolved.task.has_linear_head)
    head = known_head or 0
    method = resolved.method
    is_estimate = known_head is None or not model.is_exact
    if method.artifact == "model":
        # Without a new head, everything in the files is trained.
        trained = kept = model.parameters if outputs is None else model.body_parameters + head
        # A linear head reads the last hidden states: a pooler in the files is not loaded.
        is_estimate |= not model.is_body_exact or resolved.task.has_linear_head
    else:
        start, end = method.start_ranks(len(modules)), method.end_ranks(len(modules))
        costs = [module.out_features + module.in_features for module in modules]
        trained = sum(rank * (cost + method.trains_scales) for rank, cost in zip(start, costs, strict=True)) + head
        kept = sum(rank * cost for rank, cost in zip(end, costs, strict=True))
        # Before training, components are moved to other modules, which may have other sizes.
        is_estimate |= method.rank_changes == "before_training" and len(set(costs)) > 1
    curve = planned_curve(resolved, len(modules), total_steps)
    return RunPlan(
        config=resolved,
        model=model,
        modules=modules,
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


def _checkpointing_problems(config: RunConfig, model: ModelEntry) -> list[FieldProblem]:
    if not config.hardware.gradient_checkpointing or model.memory_sizes is None or model.memory_sizes.can_checkpoint:
        return []
    return [
        FieldProblem(
            "config.hardware.gradient_checkpointing",
            True,
            f"is on, and models of type {model.kind.kind if model.kind else model.architecture} have no gradient checkpointing",
            "Turn it off. A smaller batch with more gradient accumulation saves memory too.",
        )
    ]


def _check_size(config: RunConfig) -> None:
    """Lists and texts have their own limits. This limits the complete configuration, which every response about the run has."""
    size = len(config.model_dump_json().encode())
    if size > MAX_CONFIG_BYTES:
        raise BadInput(
            [
                FieldProblem(
                    "config",
                    None,
                    f"is {size:,} bytes as JSON; a configuration has at most {MAX_CONFIG_BYTES:,}",
                    "Shorten its lists: name fewer modules, or use the common end of their names.",
                )
            ]
        )


def planned_curve(config: RunConfig, n_modules: int, total_steps: int) -> PlannedCurve:
    """The budget over the steps, and the steps at which components are pruned; empty without ranks.

    `config.steering` is part of the plan: after a steering action, the rest of the curve is the one then in force.
    """
    method = config.method
    if not method.has_ranks or not n_modules:
        return PlannedCurve([], [], 0)
    schedule = method.budget_schedule(n_modules, total_steps)
    if schedule is not None:
        return steered_curve(schedule, config.steering)
    points = method.planned_budgets(n_modules, total_steps)
    prunings = [step for step, _ in points[1:]]
    return PlannedCurve([*points, (total_steps, points[-1][1])], prunings, len(prunings))


def _target_modules(config: RunConfig, model: ModelEntry) -> list[LinearModule]:
    method = config.method
    if method.artifact == "model":
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
    if method.named_modules is not None:
        return _named_modules(method.named_modules, model)
    target_modules: list[str] | None = getattr(method, "target_modules", None)
    if target_modules is None:
        if not model.modules:
            raise BadInput(
                [
                    FieldProblem(
                        "config.model.id",
                        model.id,
                        "has no linear layers in numbered blocks to adapt",
                        "Use full fine-tuning, or another model.",
                    )
                ]
            )
        return list(model.modules)
    problems = []
    chosen: list[LinearModule] = []
    available = [*model.modules, *model.outside]
    names = ModuleNames(module.name for module in available)
    for index, wanted in enumerate(target_modules):
        # PEFT's rule: the full name, or a suffix after a dot.
        fits = [module for module in available if f".{module.name}".endswith(f".{wanted}")]
        if not fits and (named := names.find(wanted)) is not None:
            fits = [module for module in available if module.name == named]
        chosen += [module for module in fits if module not in chosen]
        if not fits:
            kinds = ", ".join(dict.fromkeys(module.name.rsplit(".", 1)[-1] for module in available))
            problems.append(
                FieldProblem(
                    f"config.method.target_modules.{index}",
                    wanted,
                    f"is {wanted!r}, which is not the name of a layer",
                    f"Use names such as {kinds}, or leave target_modules empty for all.",
                )
            )
    if problems:
        raise BadInput(problems)
    return chosen


def _named_modules(names: Sequence[str], model: ModelEntry) -> list[LinearModule]:
    """The layers with these names, in their order. Their prefixes may be those of a model with another head."""
    by_name = {module.name: module for module in [*model.modules, *model.outside]}
    here = ModuleNames(by_name)
    chosen, problems = [], []
    for name in names:
        found = here.find(name)
        if found is not None:
            chosen.append(by_name[found])
            continue
        problems.append(
            FieldProblem(
                "config.method.rank_pattern",
                name,
                f"names {name!r}, which is not a layer of {model.id}",
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
    if total > MAX_STEPS:
        raise BadInput(
            [
                FieldProblem(
                    "config.training.epochs",
                    training.epochs,
                    f"is {total:,} optimizer steps with {train_rows:,} training rows; a run has at most {MAX_STEPS:,}",
                    "Lower epochs, or raise batch_size or gradient_accumulation.",
                )
            ]
        )
    try:
        config.method.check_steps(total)
    except PydanticCustomError as error:
        context = error.context or {}
        path = ".".join(["config", *context["field"]])
        raise BadInput([FieldProblem(path, context["value"], context["message"], context["next_step"])]) from error
    return total


def _resolve(
    config: RunConfig, dataset: DatasetEntry, parts: SplitCounts, total_steps: int, context_length: int | None
) -> RunConfig:
    max_length = config.training.max_length
    if context_length is not None:
        max_length = min(max_length, context_length)
    return config.model_copy(
        update={
            "data": resolved_data(config.data, dataset, parts),
            "task": config.task.with_columns(parts.text_columns, parts.target_column),
            "method": config.method.resolved(),
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
    warnings = [*parts.warnings, *split_warnings(config.data, parts)]
    training = config.training
    rows_a_step = training.batch_size * training.gradient_accumulation
    if rows_a_step > parts.train_rows:
        warnings.append(
            f"One step takes {rows_a_step} rows, and there are only {parts.train_rows} training rows: "
            "lower batch_size or gradient_accumulation."
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
