"""Text classification: a head with one output for each class, cross-entropy, accuracy and Matthews' correlation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from rankscope.catalog.data.splits import Split
from rankscope.contract.predictions import ClassGuess, Guess
from rankscope.contract.tasks import Task
from rankscope_worker.child.loading.data import Batch, TokenizedSplit, tokenized
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks.task import Evaluation, NotFinite, TrainedTask

IntArray = npt.NDArray[np.integer]


class TextClassification(TrainedTask):
    peft_type = "SEQ_CLS"
    label_names: Sequence[str] = ("labels",)

    def __init__(self, options: Task, labels: Sequence[str]) -> None:  # noqa: ARG002  (the split has the columns)
        self._labels = list(labels)

    def head(self) -> Head:
        return Head(
            AutoModelForSequenceClassification,
            MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
            "text classifier",
            self._set_classes,
        )

    def _set_classes(self, config: PreTrainedConfig) -> None:
        config.id2label = dict(enumerate(self._labels))
        config.label2id = {label: number for number, label in enumerate(self._labels)}
        config.problem_type = "single_label_classification"

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        numbers = {label: number for number, label in enumerate(split.labels)}

        def encode(batch: Batch, counts: Counts) -> dict[str, Any]:
            found = encoder.encode(batch.texts(split.text_columns), batch.name, counts)
            return found | {"labels": [numbers[row[str(split.target_column)]] for row in batch.rows]}

        return tokenized(split, encoder, max_length, encode)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        collator: Callable[[list[Any]], Mapping[str, Any]] = DataCollatorWithPadding(tokenizer)
        return collator

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Accuracy and Matthews' correlation from logits (rows, classes) and labels (rows,), using only numpy."""
        guesses, labels = evaluation.outputs.argmax(axis=-1), evaluation.targets
        classes = evaluation.outputs.shape[-1]
        return {"accuracy": float(np.mean(guesses == labels)), "mcc": matthews(guesses, labels, classes)}

    @torch.inference_mode()
    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],  # noqa: ARG002
    ) -> list[Guess]:
        model.eval()
        batch = tokenizer.pad(encoded, return_tensors="pt")
        probabilities = torch.softmax(model(**batch).logits.double(), dim=-1)
        if not torch.isfinite(probabilities).all():
            raise NotFinite("The model's outputs are NaN; the training has diverged.")
        return [
            ClassGuess(
                label=self._labels[int(row.argmax())],
                probabilities=dict(zip(self._labels, row.tolist(), strict=True)),
            )
            for row in probabilities
        ]


def matthews(guesses: IntArray, labels: IntArray, classes: int) -> float:
    """Matthews' correlation for any number of classes (Gorodkin 2004); 0 if one side has only one class.

    With confusion matrix C, s rows of which c are right, t_k true and p_k guessed of class k:
    (c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2)).
    """
    true = np.bincount(labels, minlength=classes).astype(np.float64)
    guessed = np.bincount(guesses, minlength=classes).astype(np.float64)
    rows, right = float(len(labels)), float(np.sum(guesses == labels))
    below = (rows**2 - guessed @ guessed) * (rows**2 - true @ true)
    return float((right * rows - true @ guessed) / np.sqrt(below)) if below > 0 else 0.0
