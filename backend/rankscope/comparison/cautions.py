"""Reasons why a difference between runs may not be due to their methods."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rankscope.comparison.groups import RunGroup
from rankscope.contract.config import RunConfig
from rankscope.contract.tables import Run
from rankscope.launch.changes import flat
from rankscope.launch.plan import planned_curve

CautionKind = Literal["task", "model", "data", "split", "evaluation", "budget", "length", "unfinished", "same_seed"]
_SPLIT = (
    "split",
    "split_column",
    "train_parts",
    "eval_parts",
    "group_column",
    "drop_equal_texts",
    "eval_fraction",
    "validation_fraction",
    "split_seed",
    "max_train_rows",
    "max_eval_rows",
)
_NOT_EVALUATION = frozenset({"name", "headline_metric"})


@dataclass(frozen=True)
class Caution:
    kind: CautionKind
    title: str
    detail: str
    next_step: str
    values: tuple[str, ...]
    """The values of the runs, in their order."""


def cautions(runs: Sequence[Run], configs: Sequence[RunConfig], groups: Sequence[RunGroup] = ()) -> list[Caution]:
    """What differs between the runs besides their methods, the most serious first."""
    pairs = list(zip(runs, configs, strict=True))
    kinds: list[tuple[CautionKind, str, str, str, Callable[[Run, RunConfig], str]]] = [
        (
            "task",
            "The tasks differ",
            "Metrics of different tasks measure different things.",
            "Compare runs of one task.",
            lambda run, _: run.task,
        ),
        (
            "model",
            "The base models differ",
            "A better score may come from the base model.",
            "Compare methods on the same model.",
            lambda run, _: _named(run.model_id, run.environment.get("model_fingerprint")),
        ),
        (
            "data",
            "The data differ",
            "The runs were trained and evaluated on different rows.",
            "Launch the runs again with the same version of the data set.",
            lambda run, config: " · ".join(
                [_named(run.data_id, run.environment.get("data_fingerprint")), *_columns(config)]
            ),
        ),
        (
            "split",
            "The splits differ",
            "The evaluation rows are not the same, so the scores can't be compared.",
            "Use the same split, split seed and row limits.",
            lambda _, config: _fields({name: getattr(config.data, name) for name in _SPLIT}),
        ),
        (
            "evaluation",
            "The evaluations differ",
            "The same model would get different scores.",
            "Use the same text length and the same options of the task.",
            lambda _, config: _fields(_evaluation(config)),
        ),
        (
            "budget",
            "The budgets differ",
            "These runs do not keep the same number of parameters, so a better score may come from the larger budget alone.",
            "Launch a baseline at the same budget, for example LoRA from the menu of a run.",
            _budget,
        ),
        (
            "length",
            "The trainings have different lengths",
            "A run that saw more rows may be better for that reason alone.",
            "Compare on the axis Rows, or launch with the same steps and batch size.",
            lambda run, config: f"{run.total_steps or 'unknown'} steps of {rows_a_step(config)} rows",
        ),
    ]
    found = []
    for kind, title, detail, next_step, value in kinds:
        values = tuple(value(run, config) for run, config in pairs)
        if len(set(values)) > 1 or "unknown" in values:
            found.append(Caution(kind, title, detail, next_step, values))
    return [*found, *_unfinished(runs), *_repeated_seeds(runs, groups)]


def rows_a_step(config: RunConfig) -> int:
    """Number of training rows in one optimizer step."""
    return config.training.batch_size * config.training.gradient_accumulation


def _unfinished(runs: Sequence[Run]) -> list[Caution]:
    open_runs = [run for run in runs if run.status != "done"]
    if not open_runs:
        return []
    return [
        Caution(
            "unfinished",
            "Not every run is done",
            "The numbers of a run that isn't done are those of the step it has reached.",
            "Wait for it, or compare the curves at equal progress.",
            tuple(f"{run.status} at step {run.step} of {run.total_steps or 'unknown'}" for run in runs),
        )
    ]


def _repeated_seeds(runs: Sequence[Run], groups: Sequence[RunGroup]) -> list[Caution]:
    """Two runs of one configuration and seed give nearly the same result, so they say nothing about the spread."""
    if all(len(set(group.seeds)) == len(group.seeds) for group in groups):
        return []
    seeds = {member: seed for group in groups for member, seed in zip(group.members, group.seeds, strict=True)}
    return [
        Caution(
            "same_seed",
            "A group has a seed twice",
            "Runs with the same configuration and seed repeat each other, so the spread over seeds looks smaller than it is.",
            "Remove one of them.",
            tuple(f"seed {seeds[place]}" for place in range(len(runs))),
        )
    ]


def _budget(run: Run, config: RunConfig) -> str:
    """The planned number of components at the end, or of parameters for runs without components."""
    n_modules = run.n_modules or run.environment.get("n_modules")
    curve = planned_curve(config, n_modules, run.total_steps).points if n_modules and run.total_steps else []
    if curve:
        return f"{curve[-1][1]:,} components"
    return "unknown" if run.kept_parameters is None else f"{run.kept_parameters:,} parameters"


def _columns(config: RunConfig) -> list[str]:
    """The columns that the task reads."""
    columns = {name: value for name, value in config.task.model_dump(mode="json").items() if "column" in name and value}
    return [_fields(columns)] if columns else []


def _evaluation(config: RunConfig) -> Mapping[str, object]:
    options = flat(config.task.model_dump(mode="json"))
    own = {name: value for name, value in options.items() if name not in _NOT_EVALUATION and "column" not in name}
    return {"max_length": config.training.max_length, **own}


def _named(name: str, fingerprint: str | None) -> str:
    return f"{name} ({fingerprint.removeprefix('v2:')[:8]})" if fingerprint else name


def _fields(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in values.items() if value not in (None, False))
