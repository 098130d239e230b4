"""Try it: a finished run's model beside its base model, on texts of one's own. The work is done by a worker."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from rankscope.api.deps import EngineDep, NowDep, NudgerDep, PredictionsDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes.base import RequestBody, Shape
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition, NotFound, ServiceDown
from rankscope.contract.predictions import Prediction
from rankscope.contract.tables import Run
from rankscope.exports.artifacts import find_artifact
from rankscope.store import runs, workers
from rankscope.store.database.engine import reading

router = APIRouter(prefix="/runs/{run_id}/predictions", tags=["predictions"])

MOST_TEXTS = 8
MOST_CHARACTERS = 10_000

PredictionId = Annotated[str, Path(pattern="^[a-z0-9]{1,16}$", examples=["k7wq2m9x"])]


class PredictionRequest(RequestBody):
    texts: list[Annotated[str, Field(max_length=MOST_CHARACTERS)]] = Field(
        min_length=1, max_length=MOST_TEXTS, examples=[["a warm and funny film", "two hours that I want back"]]
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
    predictions: PredictionsDep,
    nudger: NudgerDep,
) -> PredictionAccepted:
    """Asks both models about the texts. The answer is kept for ten minutes under the id."""
    _check_texts(body.texts)
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        _check_task(run)
        artifact = find_artifact(settings, run)
        if artifact is None:
            raise InvalidTransition(
                f"Run {run.id} has no result to ask yet; it is {run.status}.",
                "Wait until it is done." if not run.status.is_terminal else "Resume it, so that it writes its result.",
            )
    prediction = Prediction(id=runs.new_run_id(), run_id=run_id, attempt=artifact.attempt, texts=body.texts)
    predictions.put(prediction)
    if not nudger.predict(run_id, prediction.id):
        raise ServiceDown(
            "The broker is out of reach, so no worker can be asked.", "Start Redis or Valkey again; then ask again."
        )
    return PredictionAccepted(id=prediction.id)


@router.get("/{prediction_id}")
@needs("read")
def get_prediction(
    run_id: RunId,
    prediction_id: PredictionId,
    engine: EngineDep,
    settings: SettingsDep,
    predictions: PredictionsDep,
    now: NowDep,
) -> Prediction:
    """The answer, or how far it is. The first one takes some seconds: a process loads the model."""
    found = predictions.get(run_id, prediction_id)
    if found is None:
        raise NotFound(
            f"Run {run_id} has no prediction {prediction_id!r}; answers are kept for ten minutes.", "Ask again."
        )
    if found.status in ("done", "failed"):
        return found
    with reading(engine) as session:
        states = [
            workers.state(one, now=now, lost_after_s=settings.lease_s) for one, _ in workers.list_workers(session)
        ]
    if "online" in states:
        message = "It waits for a worker to take it." if found.status == "waiting" else "A worker loads the models."
        return found.model_copy(update={"message": message})
    return found.model_copy(
        update={
            "message": "No worker is there to answer.",
            "next_step": "Start one with `rankscope worker`, then ask again.",
        }
    )


def _check_texts(texts: list[str]) -> None:
    problems = [
        FieldProblem(f"texts.{index}", text, "has nothing but blanks", "Write some words, or leave the text out.")
        for index, text in enumerate(texts)
        if not text.strip()
    ]
    if problems:
        raise BadInput(problems)


def _check_task(run: Run) -> None:
    why_not = RunConfig.stored(run.config).task.why_not_asked()
    if why_not is not None:
        raise InvalidTransition(
            f"Run {run.id} {why_not}.",
            "Load the exported adapter in a script of your own.",
        )
