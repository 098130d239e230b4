"""Predictions of a run's base and tuned model equal those of transformers and PEFT, loaded by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rankscope.contract.predictions import ClassGuess, Guess
from rankscope.launch.plan import RunPlan
from rankscope_worker.child.predictions import predict
from tests.tiny import make_tiny_bert
from tests.worker.child.test_training import Life

Plan = Callable[..., RunPlan]
TEXTS = ["a very good film", "the plot is dull and the end is grim"]


def probabilities(model: Any, tokenizer: Any) -> list[list[float]]:
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        rows: list[list[float]] = torch.softmax(model.eval()(**inputs).logits.double(), -1).tolist()
    return rows


def assert_says(guess: Guess, labels: list[str], expected: list[float]) -> None:
    assert isinstance(guess, ClassGuess)
    assert guess.probabilities == pytest.approx(dict(zip(labels, expected, strict=True)), abs=1e-6)
    assert guess.label == labels[expected.index(max(expected))]


@pytest.mark.parametrize("method", ["dynamic_rank", "full"])
def test_both_models_predict_as_libraries_load_them(data_dir: Path, plan: Plan, tmp_path: Path, method: str) -> None:
    made = plan(method)
    life = Life(data_dir, made.config, tmp_path)
    labels, artifact = list(made.environment["labels"]), life.folder / life.of("artifact")[0].name
    items, note = predict(made.config, labels, life.model_folder, artifact, [{"text": text} for text in TEXTS])
    assert [item.text for item in items] == TEXTS
    assert note is None
    load, tokenizer = AutoModelForSequenceClassification.from_pretrained, AutoTokenizer.from_pretrained(artifact)
    base = load(life.model_folder, num_labels=2)
    before = probabilities(base, tokenizer)
    after = probabilities(load(artifact) if method == "full" else PeftModel.from_pretrained(base, artifact), tokenizer)
    for item, one, other in zip(items, before, after, strict=True):
        assert_says(item.base, labels, one)
        assert_says(item.tuned, labels, other)
        assert item.base != item.tuned


def test_a_head_that_is_new_and_a_text_that_is_cut_are_noted(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    without_head(make_tiny_bert(data_dir / "models" / "tiny-body"))
    made = plan("lora", max_length=16)
    config = made.config.model_copy(update={"model": made.config.model.model_copy(update={"id": "local:tiny-body"})})
    life = Life(data_dir, config, tmp_path)
    artifact = life.folder / life.of("artifact")[0].name
    _, note = predict(config, list(made.environment["labels"]), life.model_folder, artifact, [{"text": "good " * 40}])
    assert "no trained head" in (note or "")
    assert "Text 1 was truncated to 16 tokens" in (note or "")


def without_head(folder: Path) -> None:
    """Reduces a saved model to the contents of a pretrained one: everything but the classifier."""
    file = folder / "model.safetensors"
    body = {name: tensor for name, tensor in load_file(file).items() if not name.startswith("classifier.")}
    save_file(body, file, metadata={"format": "pt"})
