"""Try it: predictions of a finished run's model and its base model for your texts. A worker computes them in the background."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from rankscope.api.deps import DoorbellDep, EngineDep, NowDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes.base import RequestBody, Shape
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition, NotFound
from rankscope.contract.jobs import PREDICT, JobStatus
from rankscope.contract.predictions import Prediction, PredictionStatus, PredictPayload, PredictResult
from rankscope.contract.tables import Job, Run
from rankscope.exports.artifacts import find_artifact
from rankscope.store import jobs, runs, workers
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/runs/{run_id}/predictions", tags=["predictions"])

MAX_TEXTS = 8
MAX_CHARACTERS = 10_000

PredictionId = Annotated[str, Path(pattern="^[a-z0-9]{1,16}$", examples=["k7wq2m9x"])]


class PredictionRequest(RequestBody):
    texts: list[Annotated[str, Field(max_length=MAX_CHARACTERS)]] = Field(
        min_length=1, max_length=MAX_TEXTS, examples=[["a warm and funny film", "two hours that I want back"]]
    )


class PredictionAccepted(Shape):
    id: str


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
    """Requests predictions of both models for the texts. The result is kept for ten minutes under the id."""
    _check_texts(body.texts)
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        _check_task(run)
        artifact = find_artifact(settings, run)
        if artifact is None:
            raise InvalidTransition(
                f"Run {run.id} has no result yet; it is {run.status}.",
                "Wait until it is done." if not run.status.is_terminal else "Resume it, so that it saves its result.",
            )
    payload = PredictPayload(run_id=run_id, attempt=artifact.attempt, texts=body.texts).model_dump()
    with writing(engine) as session:
        job_id = jobs.submit(session, PREDICT, payload, now=now).id
    doorbell.ring_for_job()
    return PredictionAccepted(id=job_id)


@router.get("/{prediction_id}")
@needs("read")
def get_prediction(
    run_id: RunId,
    prediction_id: PredictionId,
    engine: EngineDep,
    settings: SettingsDep,
    now: NowDep,
) -> Prediction:
    """The predictions, or their progress. They take a few seconds while a process loads the models."""
    with reading(engine) as session:
        job = jobs.get_job(session, prediction_id, PREDICT)
        if job is None or job.payload["run_id"] != run_id:
            raise NotFound(
                f"Run {run_id} has no prediction {prediction_id!r}; results are kept for ten minutes.", "Try again."
            )
        found = _prediction(job)
        if found.status in ("done", "failed"):
            return found
        states = [
            workers.state(one, now=now, lost_after_s=settings.lease_s) for one, _ in workers.list_workers(session)
        ]
    if "online" in states:
        message = "Waiting for a worker." if found.status == "waiting" else "A worker is loading the models."
        return found.model_copy(update={"message": message})
    return found.model_copy(
        update={
            "message": "No worker is online.",
            "next_step": "Start one with `rankscope worker`, then try again.",
        }
    )


_STATUS: dict[JobStatus, PredictionStatus] = {
    JobStatus.queued: "waiting",
    JobStatus.running: "running",
    JobStatus.done: "done",
    JobStatus.failed: "failed",
}


def _prediction(job: Job) -> Prediction:
    payload = PredictPayload.model_validate(job.payload)
    result = None if job.result is None else PredictResult.model_validate(job.result)
    return Prediction(
        id=job.id,
        run_id=payload.run_id,
        attempt=payload.attempt,
        status=_STATUS[job.status],
        texts=payload.texts,
        items=result.items if result else [],
        note=result.note if result else None,
        message=job.error["message"] if job.error else None,
        next_step=job.error["next_step"] if job.error else None,
    )


def _check_texts(texts: list[str]) -> None:
    problems = [
        FieldProblem(f"texts.{index}", text, "is blank", "Enter some words, or remove the text.")
        for index, text in enumerate(texts)
        if not text.strip()
    ]
    if problems:
        raise BadInput(problems)


def _check_task(run: Run) -> None:
    why_not = RunConfig.stored(run.config).task.why_no_predictions()
    if why_not is not None:
        raise InvalidTransition(
            f"Run {run.id} {why_not}.",
            "Load the exported adapter in a script.",
        )
