"""The child: `python -m rankscope_worker.predict RUN PREDICTION` asks two models about texts, and answers on the board."""

import logging
import os
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedTokenizerBase, set_seed

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import RankScopeError
from rankscope.contract.predictions import Guess, Prediction, PredictionItem
from rankscope.settings import Settings
from rankscope.store.engine import create_engine, reading
from rankscope.store.predictions import PredictionBoard
from rankscope.store.runs import get_run
from rankscope_worker.model import load_model, load_tokenizer

_log = logging.getLogger("rankscope.predict")


def main(argv: list[str]) -> int:
    run_id, prediction_id = argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = Settings()
    board = PredictionBoard(settings.broker_url)
    question = board.get(run_id, prediction_id)
    if question is None:
        return 0  # nobody waits any more
    try:
        answer = _answer(settings, question)
    except RankScopeError as error:
        answer = question.model_copy(
            update={"status": "failed", "message": error.detail, "next_step": error.next_step or None}
        )
    except (OSError, ValueError, SafetensorError) as error:
        _log.exception("The question cannot be answered.")
        answer = question.model_copy(
            update={
                "status": "failed", "message": f"The model cannot be loaded: {error}",
                "next_step": "Look at the model's folder and at the run's result in the data folder.",
            }
        )  # fmt: skip
    board.put(answer)
    return 0


def _answer(settings: Settings, question: Prediction) -> Prediction:
    engine = create_engine(settings.resolved_database_url)
    with reading(engine) as session:
        run = get_run(session, question.run_id)
        config, labels = RunConfig.model_validate(run.config), list(run.environment.get("labels", []))
        artifact = settings.attempt_dir(run.id, question.attempt) / str(run.artifact)
    if not labels:
        raise ValueError("the run does not say which classes there are")
    model_folder = Catalog(settings).model(config.model.id).folder
    items, note = predict(config, labels, model_folder, artifact, question.texts)
    return question.model_copy(update={"status": "done", "items": items, "note": note})


def predict(
    config: RunConfig, labels: list[str], model_folder: Path, artifact: Path, texts: list[str]
) -> tuple[list[PredictionItem], str | None]:
    """What the base model and the result in `artifact` say of each text, and what to know about it.

    Both are computed in float32, on the CPU, with the tokenizer and the text length of the training.
    """
    tokenizer = load_tokenizer(artifact)
    # The seed of the training: a head that the base model's files lack is the very one that training began with.
    set_seed(config.training.seed)
    base = load_model(model_folder, config.model.id, labels, tokenizer)
    max_length = config.training.max_length
    before = _guesses(base.model, tokenizer, labels, texts, max_length)
    tuned: nn.Module = (
        load_model(artifact, config.model.id, labels, tokenizer).model
        if config.method.name == "full"
        else PeftModel.from_pretrained(base.model, str(artifact))
    )
    after = _guesses(tuned, tokenizer, labels, texts, max_length)
    items = [
        PredictionItem(text=text, base=one, tuned=other)
        for text, one, other in zip(texts, before, after, strict=True)
    ]  # fmt: skip
    return items, _note(base.has_new_head, tokenizer, texts, max_length)


@torch.inference_mode()
def _guesses(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, labels: list[str], texts: list[str], max_length: int
) -> list[Guess]:
    model.eval()
    inputs = tokenizer(texts, truncation=True, max_length=max_length, padding=True, return_tensors="pt")
    probabilities = torch.softmax(model(**inputs).logits.double(), dim=-1)
    if not torch.isfinite(probabilities).all():
        raise ValueError("its answers are no numbers: the training has diverged")
    return [
        Guess(label=labels[int(row.argmax())], probabilities=dict(zip(labels, row.tolist(), strict=True)))
        for row in probabilities
    ]


def _note(has_new_head: bool, tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int) -> str | None:
    notes = []
    if has_new_head:
        notes.append("The base model has no trained classification head: its answers are those of a random one.")
    lengths = [len(tokens) for tokens in tokenizer(texts)["input_ids"]]
    cut = [str(number) for number, length in enumerate(lengths, start=1) if length > max_length]
    if cut:
        notes.append(f"Text {', '.join(cut)} was cut at {max_length} tokens, as in training.")
    return " ".join(notes) or None


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    # Without the interpreter's long good-bye: everything is written, and torch's threads may hang there.
    os._exit(code)
