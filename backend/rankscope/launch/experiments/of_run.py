"""Did the allocation help? From a finished run to an experiment with plain LoRA at its budget, and the controls."""

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InvalidTransition
from rankscope.contract.experiments.design import Design, Role, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Trial
from rankscope.contract.methods import METHODS
from rankscope.contract.tables import Run
from rankscope.launch.changes import differing
from rankscope.launch.experiments.request import ExperimentRequest, MethodChoice, TuningChoice
from rankscope.launch.experiments.trial_config import trial_config
from rankscope.store.experiments.lifecycle import FinishedRun

_SAME_TRAINING = frozenset(
    {"training.after_done", "training.keep_best", "training.best_metric", "data.validation_fraction"}
)


def request_for_run(run: Run, *, seeds: int) -> ExperimentRequest:
    """Asks whether the allocation of a finished run helped: its method, plain LoRA and the controls, at its rates.

    Raises InvalidTransition for a run that has no ranks.
    """
    kind = METHODS[run.method]
    stored = run.config.get("method")
    options = {name: value for name, value in (stored if isinstance(stored, dict) else {}).items() if name != "name"}
    mean = kind.mean_budget(options)
    if not kind.has_ranks or kind.rank_changes == "never" or mean is None:
        raise InvalidTransition(
            f"Run {run.id} has method {kind.label}, which does not choose ranks.", "Use a run of a method that does."
        )
    if run.artifact is None or not run.status.is_terminal:
        raise InvalidTransition(f"Run {run.id} is {run.status} and has no result yet.", "Wait until it is done.")
    budget = max(1, round(mean))
    rank_fields = kind.options_at_budget(budget)
    training = run.config.get("training")
    seed = training.get("seed", 0) if isinstance(training, dict) else 0
    first = seed if isinstance(seed, int) else 0
    return ExperimentRequest(
        config=dict(run.config),
        methods=[
            MethodChoice(
                name=kind.label, method=run.method, options={k: v for k, v in options.items() if k not in rank_fields}
            )
        ],
        budgets=[budget],
        seeds=[(first + number) % 2**32 for number in range(seeds)],
        tuning=TuningChoice(trials=0),
    )


def trial_of_run(design: Design, run: Run) -> FinishedRun | None:
    """Returns the trial that the run has already trained, if its configuration is the same; it is not trained again."""
    # A run of an earlier version lacks fields that were added later.
    trained = RunConfig.stored(run.config).model_dump(mode="json")
    for variant in design.variants:
        if variant.role != Role.method:
            continue
        for seed in design.seeds:
            trial = Trial(
                experiment_id="",
                number=0,
                purpose=TrialPurpose.test,
                status=TrialStatus.planned,
                task=design.tasks[0].name,
                variant=variant.name,
                budget=design.budgets[0],
                seed=seed,
            )
            planned = trial_config(design, trial).model_dump(mode="json")
            if differing(trained, planned).keys() <= _SAME_TRAINING:
                return FinishedRun(run.id, variant.name, seed)
    return None
