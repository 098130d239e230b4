"""List experiments, answer them, rename and delete them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from rankscope.api.deps import AnswersDep, DoorbellDep, EngineDep, ExperimentId, NowDep
from rankscope.api.experiment_answers import answer_of
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.shapes.experiments import ExperimentDetail, ExperimentList, ExperimentPatch, detail, summaries
from rankscope.contract.experiments.answer import Answer
from rankscope.experiments.inputs import Selection
from rankscope.experiments.tables import as_text, paper_table
from rankscope.exports.experiment_report import experiment_report
from rankscope.store import trial_runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, lifecycle
from rankscope.table_text import ENDINGS, MEDIA_TYPES, TableFormat

router = APIRouter(prefix="/experiments", tags=["experiments"])

Task = Annotated[str | None, Query(max_length=100, description="Only comparisons on this task.")]
Budget = Annotated[float | None, Query(description="Only comparisons at this mean rank.")]
Variants = Annotated[
    list[str] | None, Query(max_length=100, description="Only these variants, with the baseline. May be repeated.")
]


@router.get("")
@needs("read")
def list_experiments(engine: EngineDep) -> ExperimentList:
    """The newest first, without their answers."""
    with reading(engine) as session:
        found = experiments.list_all(session)
        return ExperimentList(items=summaries(session, found))


@router.get("/{experiment_id}")
@needs("read")
def get_experiment(experiment_id: ExperimentId, engine: EngineDep) -> ExperimentDetail:
    """Design and state."""
    with reading(engine) as session:
        return detail(session, experiments.get(session, experiment_id))


@router.patch("/{experiment_id}")
@needs("launch", SMALL_JSON)
def change_experiment(
    experiment_id: ExperimentId, body: ExperimentPatch, engine: EngineDep, now: NowDep
) -> ExperimentDetail:
    """Changes name or notes."""
    with writing(engine) as session:
        experiments.change(session, experiment_id, name=body.name, notes=body.notes, now=now)
    return get_experiment(experiment_id, engine)


@router.delete("/{experiment_id}", status_code=204)
@needs("admin")
def delete_experiment(experiment_id: ExperimentId, engine: EngineDep, doorbell: DoorbellDep, now: NowDep) -> None:
    """Deletes an experiment with its trials. Its queued runs are deleted, running ones are stopped, finished ones kept."""
    with writing(engine) as session:
        stopped = lifecycle.delete(session, experiment_id, now=now)
        numbers = trial_runs.last_seqs(session, stopped)
    for run_id, last_seq in numbers.items():
        doorbell.ring(run_id, last_seq)


@router.get("/{experiment_id}/answer")
@needs("read")
def get_answer(
    experiment_id: ExperimentId,
    engine: EngineDep,
    answers: AnswersDep,
    task: Task = None,
    budget: Budget = None,
    variants: Variants = None,
) -> Answer:
    """The answer of the experiment. p values are corrected for the comparisons that the parameters select.

    It is computed at the first request after a trial has changed, which takes some seconds.
    """
    return answer_of(engine, answers, experiment_id, _selection(task, budget, variants))


@router.get(
    "/{experiment_id}/table",
    response_class=Response,
    responses={200: {"content": {name: {"schema": {"type": "string"}} for name in MEDIA_TYPES.values()}}},
)
@needs("read")
def get_table(
    experiment_id: ExperimentId,
    engine: EngineDep,
    answers: AnswersDep,
    form: Annotated[TableFormat, Query(alias="format", description="LaTeX needs the package booktabs.")] = "csv",
    task: Task = None,
    budget: Budget = None,
    variants: Variants = None,
) -> Response:
    """Methods x tasks and budgets: mean and standard deviation, with the winner marked where the spread allows it."""
    answer = answer_of(engine, answers, experiment_id, _selection(task, budget, variants))
    with reading(engine) as session:
        design = experiments.design_of(experiments.get(session, experiment_id))
    name = f"experiment-{experiment_id}.{ENDINGS[form]}"
    return Response(
        as_text(paper_table(design, answer), form),
        media_type=f"{MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get("/{experiment_id}/report.html", response_class=HTMLResponse)
@needs("read")
def get_experiment_report(
    experiment_id: ExperimentId,
    engine: EngineDep,
    answers: AnswersDep,
    task: Task = None,
    budget: Budget = None,
    variants: Variants = None,
) -> HTMLResponse:
    """The answer on one page that needs no RankScope: sentences, controls, differences, results, protocol."""
    answer = answer_of(engine, answers, experiment_id, _selection(task, budget, variants))
    with reading(engine) as session:
        found = experiments.get(session, experiment_id)
        name, notes, design = found.name, found.notes, experiments.design_of(found)
    # Sandboxed: whatever a name contains must not run with this origin's rights.
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
        "Content-Disposition": f'inline; filename="experiment-{experiment_id}.html"',
    }
    return HTMLResponse(experiment_report(name, notes, design, answer), headers=headers)


def _selection(task: str | None, budget: float | None, variants: list[str] | None) -> Selection:
    return Selection(task=task, budget=budget, variants=tuple(sorted(set(variants))) if variants else None)
