"""Try it: predictions of a finished run's model and its base model for your inputs. A worker computes them in the background."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from rankscope.api.background_jobs import JobId, read_job
from rankscope.api.deps import DoorbellDep, EngineDep, NowDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes.base import RequestBody, Shape
from rankscope.api.shapes.jobs import STATE, why
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition, NotFound
from rankscope.contract.jobs import PREDICT
from rankscope.contract.predictions import (
    InputField,
    Prediction,
    PredictPayload,
    PredictResult,
    as_one_text,
)
from rankscope.contract.tables import Run
from rankscope.exports.artifacts import find_artifact
from rankscope.store import jobs, runs, workers
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/runs/{run_id}/predictions", tags=["predictions"])

MAX_INPUTS = 8
MAX_CHARACTERS = 10_000
_Name = Annotated[str, Field(max_length=500)]

_Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


class PredictionRequest(RequestBody):
    """Set one of the two."""

    inputs: list[dict[_Name, _Text]] | None = Field(
        default=None, min_length=1, max_length=MAX_INPUTS, examples=[[{"text": "a warm and funny film"}]]
    )
    """The text of each field of each input. `GET /runs/{run_id}/predictions` lists the fields."""
    texts: list[_Text] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_INPUTS,
        examples=[["a warm and funny film", "two hours that I want back"]],
    )
    """The inputs of a run whose inputs have one field."""


class PredictionForm(Shape):
    """What an input of "Try it" consists of."""

    fields: list[InputField]
    most_inputs: int
    most_characters: int
    """Of each field."""


class PredictionAccepted(Shape):
    id: str


@router.get("")
@needs("read")
def get_prediction_form(run_id: RunId, engine: EngineDep) -> PredictionForm:
    """The fields of an input for this run's model."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
    return PredictionForm(fields=_fields(run), most_inputs=MAX_INPUTS, most_characters=MAX_CHARACTERS)


@router.post("", status_code=202)
@needs("launch", LARGE_JSON)
def predict(
    run_id: RunId,
    body: PredictionRequest,
    engine: EngineDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> PredictionAccepted:
    """Requests predictions of both models for the inputs. The result is kept for ten minutes under the id."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        inputs = _inputs(body, _fields(run))
        artifact = find_artifact(settings, run)
        if artifact is None:
            raise InvalidTransition(
                f"Run {run.id} has no result yet; it is {run.status}.",
                "Wait until it is done." if not run.status.is_terminal else "Resume it, so that it saves its result.",
            )
    payload = PredictPayload(
        run_id=run_id, attempt=artifact.attempt, texts=[as_one_text(one) for one in inputs], inputs=inputs
    ).model_dump()
    with writing(engine) as session:
        job_id = jobs.submit(session, PREDICT, payload, now=now).id
    doorbell.ring_for_job()
    return PredictionAccepted(id=job_id)


@router.get("/{prediction_id}")
@needs("read")
def get_prediction(
    run_id: RunId,
    prediction_id: JobId,
    engine: EngineDep,
    settings: SettingsDep,
    now: NowDep,
) -> Prediction:
    """The predictions, or their progress. They take a few seconds while a process loads the models."""
    missing = NotFound(
        f"Run {run_id} has no prediction {prediction_id!r}; results are kept for ten minutes.", "Try again."
    )
    with reading(engine) as session:
        job = read_job(session, prediction_id, PREDICT, missing)
        payload = PredictPayload.model_validate(job.payload)
        if payload.run_id != run_id:
            raise missing
        message, next_step = why(
            job,
            has_worker=workers.is_any_online(session, now=now, lost_after_s=settings.lease_s),
            waiting="Waiting for a worker.",
            running="A worker is loading the models.",
            then=", then try again.",
        )
        result = None if job.result is None else PredictResult.model_validate(job.result)
        return Prediction(
            id=job.id,
            run_id=payload.run_id,
            attempt=payload.attempt,
            status=STATE[job.status],
            texts=payload.texts,
            items=result.items if result else [],
            note=result.note if result else None,
            message=message,
            next_step=next_step,
        )


def _fields(run: Run) -> list[InputField]:
    return RunConfig.stored(run.config).task.inputs()


def _inputs(body: PredictionRequest, fields: list[InputField]) -> list[dict[str, str]]:
    """Returns the inputs of a request. Raises BadInput for a missing, unknown or blank field."""
    names = [field.name for field in fields]
    listed = " and ".join(names)
    if (body.inputs is None) == (body.texts is None):
        raise BadInput(
            [
                FieldProblem(
                    "inputs", None, "must be set, and texts must not be", f"Send inputs with the field {listed}."
                )
            ]
        )
    if body.texts is not None and len(names) > 1:
        what = f"has one text for each input, but this run's inputs have the fields {listed}"
        raise BadInput([FieldProblem("texts", None, what, "Use inputs.")])
    at = "inputs" if body.texts is None else "texts"
    inputs = body.inputs if body.inputs is not None else [{names[0]: text} for text in body.texts or []]
    problems = []
    for index, one in enumerate(inputs):
        unknown = [name for name in one if name not in names]
        problems += [
            FieldProblem(f"inputs.{index}.{name}", one[name], "is not a field of this run's inputs", f"Use {listed}.")
            for name in unknown
        ]
        for field in fields:
            if field.is_required and not one.get(field.name, "").strip():
                where = f"texts.{index}" if at == "texts" else f"inputs.{index}.{field.name}"
                problems.append(
                    FieldProblem(where, one.get(field.name), "is blank", "Enter some words, or remove the input.")
                )
    if problems:
        raise BadInput(problems)
    return [{name: one.get(name, "") for name in names} for one in inputs]
