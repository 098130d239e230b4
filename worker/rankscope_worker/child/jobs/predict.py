"""Job `predict`: the predictions of a finished run's model and of its base model for texts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel
from torch import nn
from transformers import set_seed

from rankscope.catalog import Catalog
from rankscope.catalog.changed_inputs import check_model
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, InputsChanged
from rankscope.contract.predictions import PredictionItem, PredictPayload, PredictResult, as_one_text
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine, reading
from rankscope.store.runs import get_run
from rankscope_worker.child.loading.causes import name_of, one_line, out_of_memory
from rankscope_worker.child.loading.encoding import Counts, TextEncoder, UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.tasks import NotFinite, trained_task
from rankscope_worker.database_retries import DATABASE_ERRORS


def run(settings: Settings, payload: Payload, _report: Callable[[float], None]) -> Payload:
    """Returns the predictions of both models for the inputs."""
    request = PredictPayload.model_validate(payload)
    engine = create_engine(settings.resolved_database_url)
    with reading(engine) as session:
        run = get_run(session, request.run_id)
        config, labels = RunConfig.stored(run.config), list(run.environment.get("labels", []))
        artifact = settings.attempt_dir(run.id, request.attempt) / str(run.artifact)
        launched_with = run.environment.get("model_fingerprint")
    if config.task.head_outputs(labels) == 0:
        raise CannotLoad("The run has no list of classes.")
    model = Catalog(settings).model(config.model.id)
    check_model(model, launched_with)
    name = config.task.inputs()[0].name
    inputs = request.inputs or [{name: text} for text in request.texts]
    items, note = predict(config, labels, model.folder, artifact, inputs)
    return PredictResult(items=items, note=note).model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if out_of_memory(error) is not None:
        return f"The worker's memory ran out: {one_line(error)}", "Free memory on the worker's host, then try again."
    if isinstance(error, UnusableText):
        return one_line(error), "Change the text, then try again."
    if isinstance(error, InputsChanged):
        return one_line(error), "Restore the model's files, then try again."
    if isinstance(error, BadInput):  # the model's folder is missing, or its files are damaged
        return (
            f"The run's model {error.problems[0].message.rstrip('.')}.",
            "Restore the model's folder, then try again.",
        )
    if isinstance(error, UnusableModel):
        return one_line(error), "Restore the files of the model, then try again."
    if isinstance(error, DATABASE_ERRORS):
        return f"The worker can't read the database: {one_line(error)}", "Try again once the database responds."
    if isinstance(error, NotFinite):
        return one_line(error), "Use a run that ended with finite losses."
    if isinstance(error, CannotLoad):
        return one_line(error), "Check the model's folder and the run's result in the data folder."
    return (
        f"The prediction failed with an unexpected error: {name_of(error)}",
        "Try again. If it fails in the same way, report it with the end of the worker's log.",
    )


class CannotLoad(Exception):
    """The files of the base model or of the run's result can't be read."""


@contextmanager
def _loading(what: str) -> Iterator[None]:
    """Converts any error to CannotLoad: files of a model can make any library raise any error."""
    try:
        yield
    except UnusableModel:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise CannotLoad(f"{what} can't be loaded: {name_of(error)}") from error


def predict(
    config: RunConfig, labels: list[str], model_folder: Path, artifact: Path, inputs: Sequence[dict[str, str]]
) -> tuple[list[PredictionItem], str | None]:
    """What the base model and the result in `artifact` predict for each input, with notes.

    Both are computed in float32, on the CPU, with the tokenizer and the text length of the training.
    """
    task = trained_task(config.task, labels)
    with _loading("The run's tokenizer"):
        tokenizer = load_tokenizer(artifact)
    # Use the training's seed: a head that the base model's files lack is then identical to the initial one.
    set_seed(config.training.seed)
    with _loading("The base model"):
        base = load_model(model_folder, config.model.id, task.head(), tokenizer)
    encoder = TextEncoder(tokenizer, base.model, config.training.max_length)
    counts = Counts()
    encoded = task.encode_inputs(inputs, encoder, counts)
    before = task.answer(base.model, tokenizer, encoded, inputs)
    with _loading("The run's result"):
        tuned: nn.Module = (
            load_model(artifact, config.model.id, task.head(), tokenizer).model
            if config.method.artifact == "model"
            else PeftModel.from_pretrained(base.model, str(artifact))
        )
    after = task.answer(tuned, tokenizer, encoded, inputs)
    items = [
        PredictionItem(inputs=one, text=as_one_text(one), base=guess, tuned=other)
        for one, guess, other in zip(inputs, before, after, strict=True)
    ]
    return items, _note(base.has_new_head, counts, encoder.max_length)


def _note(has_new_head: bool, counts: Counts, max_length: int) -> str | None:
    notes = []
    if has_new_head:
        notes.append("The base model has no trained head for this task, so its predictions are those of a random one.")
    if counts.cut:
        cut = ", ".join(str(row + 1) for row in counts.cut)
        notes.append(f"Text {cut} was truncated to {max_length} tokens, as in training.")
    return " ".join(notes) or None
