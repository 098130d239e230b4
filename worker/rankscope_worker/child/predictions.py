"""Predictions of a run's result and of its base model for the same inputs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel
from torch import nn
from transformers import set_seed

from rankscope.contract.config import RunConfig
from rankscope.contract.predictions import PredictionItem, as_one_text
from rankscope_worker.child.loading.causes import name_of, out_of_memory
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.loading.quantisation import quantisation_of
from rankscope_worker.child.tasks import trained_task


class CannotLoad(Exception):
    """The files of the base model or of the run's result can't be read."""


@contextmanager
def _loading(what: str) -> Iterator[None]:
    """Converts any error to CannotLoad: a model's files can make any library raise any error."""
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
    """Returns the predictions of the base model and of the result in `artifact` for each input, with notes.

    Both are computed on the CPU in float32, with the tokenizer, text length and weight quantisation of the training.
    """
    if config.task.head_outputs(labels) == 0:
        raise CannotLoad("The run has no list of classes.")
    task = trained_task(config.task, labels)
    with _loading("The run's tokenizer"):
        tokenizer = load_tokenizer(artifact)
    # Use the training's seed: a head that the base model's files lack is then identical to the initial one.
    set_seed(config.training.seed)
    with _loading("The base model"):
        base = load_model(model_folder, config.model.id, task.head(), tokenizer, quantisation_of(config))
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
