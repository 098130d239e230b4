"""Converts the text of an import to a design and its trials."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from pydantic import ValidationError

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.experiments.design import (
    LARGEST_RESULT,
    Collapse,
    Design,
    ExperimentMetric,
    ExperimentTask,
    Role,
    TrialPurpose,
    Tuning,
    Variant,
)
from rankscope.contract.metrics import EVALUATION, describe
from rankscope.contract.problems import field_problems
from rankscope.experiments.importing.header import ImportHeader
from rankscope.experiments.importing.lines import MAX_LINES, ImportedLine, LineReader, json_objects

MAX_PROBLEMS = 100
MOST = {"variants": 100, "tasks": 20, "budgets": 50, "seeds": 1000}
_MARGIN = 0.005


@dataclass(frozen=True)
class ImportedTrial:
    line: ImportedLine
    purpose: TrialPurpose
    value: float | None
    collapse: Collapse | None
    ranks: dict[str, int] | None


@dataclass(frozen=True)
class Imported:
    design: Design
    trials: list[ImportedTrial]
    ignored: list[str]
    """Names of fields that are not used."""


def read_import(text: str, options: ImportHeader) -> Imported:
    """Reads JSON lines. `options` override the first line's design. Raises BadInput with a problem for every bad line."""
    header, lines = _lines(text)
    given = header.model_copy(update={name: getattr(options, name) for name in options.model_fields_set})
    if not lines:
        raise BadInput(
            [FieldProblem("body", None, "has no results", "Send one JSON object per line, one for each training.")]
        )
    _check_sizes(lines)
    metric = _metric(given, lines)
    baseline = _baseline(given, lines)
    variants = _variants(given, lines, baseline)
    controls = {variant.name for variant in variants if variant.role == Role.control}
    trials = [_trial(line, metric, given, controls) for line in lines]
    _check_doubles(trials)
    results = [trial for trial in trials if trial.purpose != TrialPurpose.tune]
    if not results:
        raise BadInput([FieldProblem("purpose", "tune", "is tune in every line", "Add results, with purpose test.")])
    design = Design(
        metric=metric,
        tasks=[
            ExperimentTask(name=name, majority=given.majority.get(name))
            for name in _unique(line.task for line in lines)
        ],
        variants=variants,
        budgets=sorted({line.budget for line in lines}),
        seeds=sorted({trial.line.seed for trial in results}),
        margin=given.margin or _usual_margin(metric, results),
        tuning=given.tuning or _tuning(trials),
        planned_looks=given.planned_looks,
        protocol=given.protocol,
    )
    return Imported(design, trials, sorted({name for line in lines for name in line.ignored}))


def _lines(text: str) -> tuple[ImportHeader, list[ImportedLine]]:
    header, lines, problems = ImportHeader(), [], []
    for place, (number, given) in enumerate(json_objects(text)):
        if place > MAX_LINES:
            problems.append(FieldProblem(f"line {number}", None, f"is beyond {MAX_LINES:,} results", "Import fewer."))
            break
        if isinstance(given, FieldProblem):
            problems.append(given)
        elif place == 0 and "design" in given:
            try:
                header = ImportHeader.model_validate(given["design"])
            except ValidationError as error:
                problems += field_problems(error.errors(), f"line {number}: design")
        else:
            reader = LineReader(number, given)
            line = reader.read()
            problems += reader.problems
            if line is not None:
                lines.append(line)
    if problems:
        raise BadInput(problems)
    return header, lines


def _check_sizes(lines: Sequence[ImportedLine]) -> None:
    counted = {
        "variants": len({line.variant for line in lines}),
        "tasks": len({line.task for line in lines}),
        "budgets": len({line.budget for line in lines}),
        "seeds": len({line.seed for line in lines}),
    }
    problems = [
        FieldProblem(name, n, f"are {n:,} different ones", f"Import at most {MOST[name]:,} in one experiment.")
        for name, n in counted.items()
        if n > MOST[name]
    ]
    if problems:
        raise BadInput(problems)


def _metric(given: ImportHeader, lines: Sequence[ImportedLine]) -> ExperimentMetric:
    """Returns the headline metric, which every line must have."""
    counted = Counter(name for line in lines for name in line.metrics)
    whole = [name for name in counted if counted[name] == len(lines)]
    listed = ", ".join(sorted(whole)[:20]) or "none"
    name = given.metric or (whole[0] if len(whole) == 1 else None)
    if name is None:
        raise BadInput(
            [FieldProblem("metric", None, "is missing", f"Name the field with the headline metric: {listed}.")]
        )
    lacking = [line.line for line in lines if name not in line.metrics]
    if lacking:
        message = f"is {name!r}, which line {lacking[0]} does not have as a number"
        more = f" (nor have {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        raise BadInput([FieldProblem("metric", name, message + more, f"Use a number that every line has: {listed}.")])
    known = describe(name)
    values = [line.metrics[name] for line in lines if math.isfinite(line.metrics[name])]
    lower = known.lower_is_better if given.lower_is_better is None else given.lower_is_better
    is_share = not lower and all(0 <= value <= 1 for value in values)
    return ExperimentMetric(
        name=name,
        title=given.title or name.removeprefix(EVALUATION).replace("_", " "),
        lower_is_better=lower,
        in_points=is_share if given.in_points is None else given.in_points,
    )


def _baseline(given: ImportHeader, lines: Sequence[ImportedLine]) -> str:
    names = _unique(line.variant for line in lines)
    stated = next((variant.name for variant in given.variants if variant.role == Role.baseline), None)
    name = given.baseline or stated
    listed = ", ".join(names[:20])
    if name is None:
        raise BadInput(
            [FieldProblem("baseline", None, "is missing", f"Name the variant to compare with, one of {listed}.")]
        )
    if name not in names:
        raise BadInput([FieldProblem("baseline", name, f"is {name!r}, which no line has", f"Use one of {listed}.")])
    return name


def _variants(given: ImportHeader, lines: Sequence[ImportedLine], baseline: str) -> list[Variant]:
    """Returns the variants, the baseline first, then in the order of the lines."""
    names = _unique(line.variant for line in lines)
    stated = {variant.name: variant for variant in given.variants}
    for variant in given.variants:
        if variant.of is not None and variant.of not in names:
            message = f"is {variant.of!r}, which no line has"
            raise BadInput(
                [FieldProblem(f"variants.{variant.name}.of", variant.of, message, "Name a variant of the lines.")]
            )
    options = {line.variant: line.options for line in reversed(lines)}
    found = []
    for name in [baseline, *(each for each in names if each != baseline)]:
        variant = stated.get(name, Variant(name=name))
        role = Role.baseline if name == baseline else Role.method if variant.role == Role.baseline else variant.role
        found.append(variant.model_copy(update={"role": role, "options": variant.options or options[name]}))
    return found


def _trial(line: ImportedLine, metric: ExperimentMetric, given: ImportHeader, controls: set[str]) -> ImportedTrial:
    value = line.metrics[metric.name]
    is_control = line.purpose == TrialPurpose.test and line.variant in controls
    return ImportedTrial(
        line=line,
        purpose=TrialPurpose.control if is_control else line.purpose,
        value=value if abs(value) <= LARGEST_RESULT else None,
        collapse=line.collapse or _collapse(line, value, given.majority.get(line.task)),
        ranks=_named(line.ranks, given.modules),
    )


def _collapse(line: ImportedLine, value: float, majority: float | None) -> Collapse | None:
    """Returns why a value is not that of a trained model.

    Matthews correlation is exactly 0 if only one class is predicted, and practically never otherwise.
    """
    if not abs(value) <= LARGEST_RESULT:  # or NaN
        return Collapse.diverged
    is_constant = any(number == 0 for name, number in line.metrics.items() if name.removeprefix(EVALUATION) == "mcc")
    if is_constant or (majority is not None and abs(value - majority) < 1e-9):
        return Collapse.majority
    return None


def _named(ranks: list[int] | dict[str, int] | None, modules: Sequence[str]) -> dict[str, int] | None:
    if ranks is None or isinstance(ranks, dict):
        return ranks
    names = modules if len(modules) == len(ranks) else [f"module {index}" for index in range(len(ranks))]
    return dict(zip(names, ranks, strict=True))


def _check_doubles(trials: Iterable[ImportedTrial]) -> None:
    seen: dict[tuple[object, ...], int] = {}
    problems = []
    for trial in trials:
        line = trial.line
        rate = line.learning_rate if trial.purpose == TrialPurpose.tune else None
        key = (line.task, line.variant, line.budget, line.seed, trial.purpose, rate)
        if key in seen and trial.purpose != TrialPurpose.tune:
            message = f"repeats line {seen[key]}: {line.variant} at budget {line.budget:g}, seed {line.seed}"
            problems.append(
                FieldProblem(f"line {line.line}", line.seed, message, "Keep one result for each seed of a cell.")
            )
        seen.setdefault(key, line.line)
    if problems:
        raise BadInput(problems)


def _usual_margin(metric: ExperimentMetric, results: Sequence[ImportedTrial]) -> float:
    """Half a point; for other units 0.5 % of the median value, rounded to one digit."""
    if metric.in_points:
        return _MARGIN
    middle = median([abs(trial.value) for trial in results if trial.value is not None] or [1.0])
    return float(f"{middle * _MARGIN:.0e}") or _MARGIN


def _tuning(trials: Sequence[ImportedTrial]) -> Tuning:
    lines = [trial.line for trial in trials if trial.purpose == TrialPurpose.tune]
    rates = [line.learning_rate for line in lines if line.learning_rate is not None]
    cells = Counter((line.task, line.variant, line.budget) for line in lines)
    return Tuning(
        trials=max(cells.values(), default=0),
        seeds=sorted({line.seed for line in lines}),
        lowest_rate=min(rates, default=None),
        highest_rate=max(rates, default=None),
    )


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
