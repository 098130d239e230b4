"""The answer of an experiment: computed on request, and stored until a trial changes."""

from sqlalchemy import Engine

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.experiments.answer import Answer
from rankscope.contract.experiments.design import Design, TrialStatus
from rankscope.contract.experiments.tables import Trial
from rankscope.experiments.inputs import AnswerInput, Selection, TrialData
from rankscope.experiments.process import AnswerProcesses
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import answers, experiments, row_scores, trials

MOST_CELLS = 2000
"""Most cells in one answer, which then has about 8 MB and takes 20 s to compute."""


def answer_of(engine: Engine, processes: AnswerProcesses, experiment_id: str, selection: Selection) -> Answer:
    """Returns the stored answer, or computes and stores it. Raises NotFound, BadInput and ServiceDown."""
    with reading(engine) as session:
        experiment = experiments.get(session, experiment_id)
        design = experiments.design_of(experiment)
        _check(design, selection)
        stored = answers.find(session, experiment, selection.key)
        if stored is not None:
            return Answer.model_validate_json(stored)
        rows = trials.of(session, experiment_id)
        packed = trials.scores_of(session, experiment_id)
        revision, is_extended = experiment.revision, experiment.is_extended_after_looking
        measured = [_data(trial) for trial in rows]
    _check_size(measured, selection)
    given = AnswerInput(
        revision=revision,
        design=design,
        is_extended_after_looking=is_extended,
        trials=measured,
        scores={number: row_scores.unpack(scores).tobytes() for number, scores in packed.items()},
        selection=selection,
    )
    answer = processes.compute(given)
    has_results = any(trial.is_result and trial.status == TrialStatus.done for trial in measured)
    text = answer.model_dump_json()
    with writing(engine) as session:
        answers.save(session, experiment_id, selection.key, revision, text, has_results=has_results)
    return answer


def _data(trial: Trial) -> TrialData:
    return TrialData(
        number=trial.number,
        purpose=trial.purpose,
        status=trial.status,
        task=trial.task,
        variant=trial.variant,
        budget=trial.budget,
        seed=trial.seed,
        learning_rate=trials.learning_rate_of(trial),
        value=trial.value,
        ranks=trial.ranks,
        kept_parameters=trial.kept_parameters,
        collapse=trial.collapse,
        run_id=trial.run_id,
    )


def _check(design: Design, selection: Selection) -> None:
    """Rejects names that the experiment does not have."""
    problems = []
    tasks = [task.name for task in design.tasks]
    if selection.task is not None and selection.task not in tasks:
        message = f"is {selection.task!r}, which is not a task of this experiment"
        problems.append(FieldProblem("task", selection.task, message, f"Use one of {', '.join(tasks)}."))
    if selection.budget is not None and selection.budget not in design.budgets:
        message = f"is {selection.budget:g}, which is not a budget of this experiment"
        listed = ", ".join(f"{budget:g}" for budget in design.budgets)
        problems.append(FieldProblem("budget", selection.budget, message, f"Use one of {listed}."))
    names = [variant.name for variant in design.variants]
    for name in selection.variants or ():
        if name not in names:
            message = f"has {name!r}, which is not a variant of this experiment"
            problems.append(FieldProblem("variants", name, message, f"Use some of {', '.join(names)}."))
    if problems:
        raise BadInput(problems)


def _check_size(measured: list[TrialData], selection: Selection) -> None:
    cells = {(trial.task, trial.budget, trial.variant) for trial in measured if selection.has(trial.task, trial.budget)}
    if len(cells) > MOST_CELLS:
        message = f"would have {len(cells):,} cells; at most {MOST_CELLS:,} are compared at once"
        raise BadInput([FieldProblem("task", selection.task, message, "Select one task or one budget.")])
