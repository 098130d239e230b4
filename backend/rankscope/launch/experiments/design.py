"""From a request to a design: the baseline, the methods, and the controls of each method that chooses ranks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.experiments.design import (
    ControlKind,
    Design,
    ExperimentMetric,
    ExperimentTask,
    Role,
    Tuning,
    Variant,
)
from rankscope.contract.methods import BASELINES, METHODS
from rankscope.contract.metrics import Metric
from rankscope.contract.problems import bad_input
from rankscope.launch.experiments.request import ExperimentRequest, MethodChoice
from rankscope.launch.experiments.trial_config import method_at, without_method
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.store.experiments.plan import MOST_TRIALS, ExperimentPlan

_NOT_A_SHARE = frozenset({"eval_generated_words"})
_TITLES: Mapping[ControlKind, str] = {
    ControlKind.same_parameters: "{baseline}, parameters of {of}",
    ControlKind.found_ranks: "{baseline}, ranks of {of}",
    ControlKind.other_seed_ranks: "{baseline}, another seed's ranks of {of}",
    ControlKind.permuted_ranks: "{baseline}, permuted ranks of {of}",
    ControlKind.random_score: "{of}, random score",
}


@dataclass(frozen=True)
class PlannedExperiment:
    design: Design
    plans: dict[str, list[RunPlan]]
    """Of the baseline and each method, by variant: one for each budget."""
    trials: int
    """Without rates that tuning may add."""


def plan_experiment(request: ExperimentRequest, catalog: Catalog) -> PlannedExperiment:
    """Returns the design with the plan of each kind of run. Raises BadInput, with fields of the request."""
    variants = [_baseline(request), *_methods(request)]
    plans: dict[str, list[RunPlan]] = {}
    base: RunPlan | None = None
    for number, variant in enumerate(variants):
        field = f"methods.{number - 1}" if number else "config.method"
        plans[variant.name] = [_planned(request, variant, budget, field, catalog) for budget in request.budgets]
        base = base or plans[variant.name][0]
    assert base is not None
    design = _design(request, [*variants, *_controls(request, variants)], base)
    trials = ExperimentPlan(design).progress([]).total
    if trials > MOST_TRIALS:
        raise BadInput(
            [
                FieldProblem(
                    "seeds",
                    request.seeds,
                    f"make {trials:,} runs with {len(variants)} methods and {len(request.budgets)} budgets; an experiment has "
                    f"at most {MOST_TRIALS:,}",
                    "Use fewer seeds, budgets, methods or tuning trials.",
                )
            ]
        )
    return PlannedExperiment(design, plans, trials)


def _baseline(request: ExperimentRequest) -> Variant:
    kind = next(kind for kind in BASELINES if kind.budget_field is not None)
    own = next((one for one in request.methods if one.method == kind.key() and not one.options), None)
    name = own.name if own is not None and own.name else kind.label
    return Variant(
        name=name, role=Role.baseline, method=kind.key(), description="Plain LoRA with the same rank everywhere."
    )


def _methods(request: ExperimentRequest) -> list[Variant]:
    baseline = _baseline(request)
    found: list[Variant] = []
    for number, choice in enumerate(request.methods):
        if choice.method == baseline.method and not choice.options:
            continue
        name = choice.name or _usual_name(choice)
        if name in {baseline.name, *(one.name for one in found)}:
            raise BadInput(
                [
                    FieldProblem(
                        f"methods.{number}.name",
                        name,
                        f"is {name!r}, the name of another method",
                        "Use a different name.",
                    )
                ]
            )
        found.append(Variant(name=name, method=choice.method, options=choice.options))
    if not found:
        raise BadInput(
            [
                FieldProblem(
                    "methods",
                    None,
                    f"has only {baseline.name}, which is the baseline",
                    "Add a method to compare it with.",
                )
            ]
        )
    return found


def _usual_name(choice: MethodChoice) -> str:
    label = METHODS[choice.method].label
    plain = [f"{name} {value}" for name, value in choice.options.items() if isinstance(value, str | int | float)]
    return f"{label} ({', '.join(plain)})"[:60] if plain else label


def _controls(request: ExperimentRequest, variants: list[Variant]) -> Iterator[Variant]:
    baseline = variants[0]
    for variant in variants[1:]:
        kind = METHODS[str(variant.method)]
        if not kind.has_ranks or kind.rank_changes == "never":
            continue
        for control in ControlKind:
            if control not in request.controls:
                continue
            if control == ControlKind.other_seed_ranks and len(request.seeds) < 2:
                continue
            is_random = control == ControlKind.random_score
            if is_random and method_at(variant, request.budgets[0], None).with_random_score() is None:
                continue
            yield Variant(
                name=_TITLES[control].format(baseline=baseline.name, of=variant.name)[:100],
                role=Role.control,
                method=variant.method if is_random else baseline.method,
                options=variant.options if is_random else {},
                control=control,
                of=variant.name,
            )


def _planned(request: ExperimentRequest, variant: Variant, budget: int, field: str, catalog: Catalog) -> RunPlan:
    training = request.config.get("training")
    try:
        method = method_at(variant, budget, training.get("max_steps") if isinstance(training, Mapping) else None)
    except ValidationError as error:
        raise bad_input(error, prefix=field if field == "config.method" else f"{field}.options") from error
    try:
        config = RunConfig.model_validate({**request.config, "method": method.model_dump(mode="json"), "steering": []})
        # Only trials for tuning are measured on a validation part.
        config = config.model_copy(update={"data": config.data.model_copy(update={"validation_fraction": None})})
        plan = make_plan(config, catalog)
    except ValidationError as error:
        raise _moved(bad_input(error, prefix="config"), field) from error
    except BadInput as error:
        raise _moved(error, field) from error
    kind = METHODS[str(variant.method)]
    mean = kind.mean_budget(method.model_dump())
    if kind.has_ranks and (mean is None or (abs(mean - budget) >= 0.5 and not kind.options_at_budget(budget))):
        raise BadInput(
            [
                FieldProblem(
                    "budgets",
                    budget,
                    f"is {budget}, and the mean rank of {variant.name} is "
                    + ("unknown" if mean is None else f"{mean:.3g}"),
                    "Use another budget." if mean is None else f"Use the budget {max(1, round(mean))} alone.",
                )
            ]
        )
    return plan


def _moved(error: BadInput, field: str) -> BadInput:
    """The error with fields of a method's options, as they are in the request."""
    return BadInput(
        [
            FieldProblem(
                one.field.replace("config.method", field if field == "config.method" else f"{field}.options", 1),
                one.value,
                one.message,
                one.next_step,
            )
            for one in error.problems
        ]
    )


def _design(request: ExperimentRequest, variants: list[Variant], base: RunPlan) -> Design:
    config, tuning = base.config, request.tuning
    training = config.training.model_copy(update={"after_done": "delete", "keep_best": False})
    config = config.model_copy(update={"training": training, "steering": []})
    metric: Metric = config.task.headline()
    counts: list[int] = [each.eval_rows for each in base.split.classes]
    rows = sum(counts)
    majority = max(counts) / rows if 0 < max(counts, default=0) < rows else None
    task = ExperimentTask(
        name=f"{config.data.id}"[:100],
        task=config.task.name,
        model_id=config.model.id,
        data_id=config.data.id,
        base=without_method(config),
        majority=majority,
        class_shares=[] if majority is None else [count / rows for count in counts if count],
    )
    return Design(
        metric=ExperimentMetric(
            name=metric.name,
            title=metric.short_title,
            lower_is_better=metric.lower_is_better,
            in_points=not metric.lower_is_better and metric.name not in _NOT_A_SHARE,
        ),
        tasks=[task],
        variants=variants,
        budgets=sorted(float(budget) for budget in request.budgets),
        seeds=request.seeds,
        margin=request.margin,
        tuning=Tuning(
            trials=tuning.trials,
            seeds=tuning.seeds if tuning.trials else [],
            lowest_rate=tuning.lowest_rate if tuning.trials else None,
            highest_rate=tuning.highest_rate if tuning.trials else None,
            measured_on="validation" if tuning.trials else "unknown",
        ),
        planned_looks=request.planned_looks,
        protocol={
            "Model": f"{base.model.name} ({base.model.fingerprint[:16]})",
            "Data": f"{base.dataset.name} ({base.dataset.fingerprint[:16]})",
            "Rows": f"{base.train_rows:,} for training, {base.eval_rows:,} for evaluation; split seed {config.data.split_seed}",
            "Training": f"{base.total_steps:,} steps of {config.training.batch_size * config.training.gradient_accumulation} rows",
            "RankScope": base.environment["rankscope"],
        },
    )
