"""From a request to the design of a sweep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import ValidationError

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.problems import bad_input
from rankscope.contract.sweeps.design import MOST_POINTS, MOST_TRIALS, SweepDesign, SweepMetric, Values
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.launch.sweeps.parameters import check_parameters, check_values, value_problem
from rankscope.launch.sweeps.request import SweepExtension, SweepRequest
from rankscope.launch.sweeps.trial_config import trial_config, without_steering
from rankscope.search.kinds import grid_points
from rankscope.search.plan import SweepPlan
from rankscope.search.trials import KnownTrial

MOST_EXAMPLES = 10
_MOST_PLANS = 60
"""Values that are checked against the installation. Each run's configuration is checked again before it is launched."""
_NOT_A_SHARE = frozenset({"eval_generated_words"})


@dataclass(frozen=True)
class PlannedSweep:
    design: SweepDesign
    plan: RunPlan
    """Of the first point."""
    examples: list[Values]
    points: int
    trials: int


def plan_sweep(request: SweepRequest, catalog: Catalog) -> PlannedSweep:
    """Returns the design of a sweep. Raises BadInput, with fields of the request."""
    try:
        config = RunConfig.model_validate(request.config)
    except ValidationError as error:
        raise bad_input(error, prefix="config") from error
    integers = check_parameters(request.parameters, request.search.kind, config)
    make_plan(config, catalog)
    design = SweepDesign(
        config=without_steering(config),
        parameters=request.parameters,
        integers=integers,
        search=request.search.resolved(),
        seeds=request.seeds,
        metric=_metric(request, config),
        parallel=request.parallel,
        stop=request.stop,
        stop_runs=request.stop_runs,
    )
    _check_size(design)
    _check_against_installation(design, catalog)
    plan = SweepPlan(design)
    examples = _first_points(plan)
    first = _plan_of(design, examples[0], catalog)
    if design.search.kind == "halving":
        design = design.model_copy(update={"rungs": _rungs(design, first)})
    return PlannedSweep(design, first, examples, plan.points, plan.expected)


def extended(design: SweepDesign, extension: SweepExtension) -> SweepDesign:
    """Returns the design with more points, seeds or time. Raises BadInput."""
    search, stop = design.search, design.stop
    if extension.points is not None and search.kind == "grid":
        message = f"is {extension.points}, but a grid has all of its combinations"
        raise BadInput([FieldProblem("points", extension.points, message, "Add seeds, or launch another sweep.")])
    again = next((one for at, one in enumerate(extension.seeds) if one in [*design.seeds, *extension.seeds[:at]]), None)
    if again is not None:
        message = f"has {again}, which is already one of its seeds"
        raise BadInput([FieldProblem("seeds", extension.seeds, message, "Use new seeds.")])
    for name, added in (("hours", extension.hours), ("runs", extension.runs)):
        if added is not None and getattr(stop, name) is None:
            message = f"is {added:g}, but the sweep has no limit on {name}"
            raise BadInput([FieldProblem(name, added, message, "Remove it.")])
    if extension.points is not None:
        search = search.model_copy(update={"points": (search.resolved().points or 0) + extension.points})
    stop = stop.model_copy(
        update={
            name: getattr(stop, name) + added
            for name, added in (("hours", extension.hours), ("runs", extension.runs))
            if added is not None
        }
    )
    longer = design.model_copy(update={"search": search, "stop": stop, "seeds": [*design.seeds, *extension.seeds]})
    _check_size(longer)
    return longer


def _check_size(design: SweepDesign) -> None:
    field = "parameters" if design.search.kind == "grid" else "search.points"
    if design.search.kind == "grid":
        # Stop counting at the limit: a grid may have a huge number of combinations.
        points = len(list(islice(grid_points(design), MOST_POINTS + 1)))
        if points > MOST_POINTS:
            message = f"make more than {MOST_POINTS:,} combinations"
            raise BadInput([FieldProblem(field, None, message, "Use fewer values, or a random search.")])
    else:
        points = design.search.resolved().points or 0
        if points > MOST_POINTS:
            message = f"make {points:,} points; a sweep has at most {MOST_POINTS:,}"
            raise BadInput([FieldProblem(field, points, message, "Use fewer.")])
    trials = points * len(design.seeds)
    if trials > MOST_TRIALS:
        message = f"make {trials:,} runs with {points:,} points; a sweep has at most {MOST_TRIALS:,}"
        raise BadInput([FieldProblem("seeds", design.seeds, message, "Use fewer seeds or points.")])


def _check_against_installation(design: SweepDesign, catalog: Catalog) -> None:
    problems = []
    for name, value, config in check_values(design)[:_MOST_PLANS]:
        try:
            make_plan(config, catalog)
        except BadInput as error:
            problems.append(value_problem(name, value, error))
    if problems:
        raise BadInput(problems[:20])


def _plan_of(design: SweepDesign, values: Values, catalog: Catalog) -> RunPlan:
    try:
        return make_plan(trial_config(design.config, values, design.seeds[0]), catalog)
    except ValidationError as error:
        raise _at_parameters(values, bad_input(error, prefix="config")) from error
    except BadInput as error:
        raise _at_parameters(values, error) from error


def _at_parameters(values: Values, error: BadInput) -> BadInput:
    """The problem of a point whose values are valid individually, but not together."""
    first = error.problems[0]
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    message = f"make a point ({shown}) with which {first.field} {first.message}"
    return BadInput([FieldProblem("parameters", None, message, first.next_step)])


def _first_points(plan: SweepPlan) -> list[Values]:
    found: dict[int, Values] = {}
    trials: list[KnownTrial] = []
    for new in plan.trial_ended(trials, MOST_EXAMPLES * 20):
        found.setdefault(new.point, new.values)
    return list(found.values())[:MOST_EXAMPLES]


def _metric(request: SweepRequest, config: RunConfig) -> SweepMetric:
    known: Sequence[str] = config.task.best_by()
    name = request.metric or config.task.headline().name
    if name not in known:
        message = f"is {name!r}, which no evaluation computes"
        raise BadInput([FieldProblem("metric", name, message, f"Use one of {', '.join(known)}.")])
    metric = config.task.describe(name)
    return SweepMetric(
        name=name,
        title=metric.short_title,
        lower_is_better=metric.lower_is_better,
        in_points=not metric.lower_is_better and name not in _NOT_A_SHARE,
    )


def _rungs(design: SweepDesign, plan: RunPlan) -> list[int]:
    """The steps of evaluations at which points are compared: each `reduction_factor` times later than the one before."""
    search, total, every = design.search.resolved(), plan.total_steps, plan.config.training.eval_every
    factor = search.reduction_factor or 2
    step = search.min_steps or max(1, total // factor**2)
    rungs: list[int] = []
    while step < total:
        evaluated = math.ceil(step / every) * every
        if evaluated < total and evaluated not in rungs:
            rungs.append(evaluated)
        step *= factor
    if not rungs:
        message = f"is {step:,}, and a run of {total:,} steps has no evaluation between that step and its end"
        step_to_do = "Lower training.eval_every, or min_steps."
        raise BadInput([FieldProblem("search.min_steps", search.min_steps, message, step_to_do)])
    return rungs
