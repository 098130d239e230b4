"""Import the results of trainings that ran elsewhere as an experiment."""

import asyncio
import math
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from sqlalchemy import Engine

from rankscope.api.deps import EngineDep, NowDep
from rankscope.api.guard.access import needs, upload
from rankscope.api.shapes.experiments import ImportedExperiment, detail
from rankscope.api.shapes.requests import Name
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.experiments.design import ExperimentStatus, TrialStatus
from rankscope.contract.experiments.tables import Trial
from rankscope.contract.problems import bad_input
from rankscope.experiments.importing.header import ImportHeader
from rankscope.experiments.importing.read import ImportedTrial, read_import
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, trials

router = APIRouter(prefix="/experiments", tags=["experiments"])

MAX_BYTES = 50_000_000
_TYPE = "application/octet-stream"


@router.post(
    "/import",
    status_code=201,
    openapi_extra={"requestBody": {"content": {_TYPE: {"schema": {"type": "string"}}}, "required": True}},
)
@needs("launch", upload(MAX_BYTES, _TYPE))
async def import_experiment(
    request: Request,
    engine: EngineDep,
    now: NowDep,
    name: Annotated[Name, Query(description="Name of the experiment.")] = "Imported results",
    metric: Annotated[str | None, Query(max_length=65, description="Field with the headline metric.")] = None,
    baseline: Annotated[str | None, Query(max_length=100, description="Variant that others are compared with.")] = None,
    margin: Annotated[
        float | None, Query(description="Smallest difference that matters, in the metric's unit.")
    ] = None,
    lower_is_better: Annotated[bool | None, Query(description="Omitted: known by the metric's name.")] = None,
) -> ImportedExperiment:
    """Reads JSON lines: one object for each training, with `variant`, `budget`, `seed` and the metric as a number.

    Optional: `task`, `purpose` (`tune` or `test`), `learning_rate`, `kept_parameters`, `ranks`, `options`, `scores` (one number
    for each evaluation row), `collapse`, and other metrics. The first line may be `{"design": {...}}`. If a line is invalid,
    nothing is imported, and the response names every such line.
    """
    options = {"metric": metric, "baseline": baseline, "margin": margin, "lower_is_better": lower_is_better}
    body = await request.body()
    return await asyncio.to_thread(
        _import, body, {k: v for k, v in options.items() if v is not None}, name, engine, now
    )


def _import(body: bytes, options: dict[str, object], name: str, engine: Engine, now: float) -> ImportedExperiment:
    try:
        header = ImportHeader.model_validate(options)
    except ValidationError as error:
        raise bad_input(error) from error
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise BadInput([FieldProblem(f"line {line}", None, "is not UTF-8", "Save the file as UTF-8.")]) from error
    imported = read_import(text, header)
    numbered = list(enumerate(imported.trials, start=1))
    rows = [_trial(number, each) for number, each in numbered]
    scores = {number: each.line.scores for number, each in numbered if each.line.scores is not None}
    with writing(engine) as session:
        experiment = experiments.create(
            session, imported.design, name=name, source="imported", status=ExperimentStatus.done, now=now
        )
        experiment_id = experiment.id
        trials.add(session, experiment_id, rows, now=now)
        trials.set_scores(session, experiment_id, scores)
    with reading(engine) as session:
        stored = experiments.get(session, experiment_id)
        return ImportedExperiment(experiment=detail(session, stored), ignored_fields=imported.ignored[:100])


def _trial(number: int, imported: ImportedTrial) -> Trial:
    """Returns a row without the id of its experiment."""
    line = imported.line
    rate = {} if line.learning_rate is None else {"learning_rate": line.learning_rate}
    return Trial(
        experiment_id="",
        number=number,
        purpose=imported.purpose,
        status=TrialStatus.done,
        task=line.task,
        variant=line.variant,
        budget=line.budget,
        seed=line.seed,
        options={**line.options, **rate},
        value=imported.value,
        metrics={name: value if math.isfinite(value) else _text(value) for name, value in line.metrics.items()},
        ranks=imported.ranks,
        kept_parameters=line.kept_parameters,
        collapse=imported.collapse,
    )


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
