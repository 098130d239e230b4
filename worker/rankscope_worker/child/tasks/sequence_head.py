"""SequenceHeadTask: tasks with a head that reads a whole text, or a pair of texts, and has one or more outputs."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from rankscope.catalog.data.splits import Split
from rankscope.contract.evaluation.results import RowResult
from rankscope.contract.predictions import Guess
from rankscope.contract.tasks import Task
from rankscope_worker.child.loading.data import Batch, TokenizedSplit, tokenized
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks.task import Evaluation, NotFinite, TrainedTask

FloatArray = npt.NDArray[np.float64]


class SequenceHeadTask(TrainedTask):
    peft_type = "SEQ_CLS"
    label_names: Sequence[str] = ("labels",)
    title = "text classifier"

    def __init__(self, options: Task, labels: Sequence[str]) -> None:
        self.options = options
        self.labels = list(labels)

    @abstractmethod
    def fit(self, config: PreTrainedConfig) -> None:
        """Sets outputs and loss of the head in the model's configuration."""

    @abstractmethod
    def target(self, text: str) -> Any:
        """Returns the encoded target for a row's text of the target column."""

    @abstractmethod
    def guess(self, outputs: FloatArray) -> Guess:
        """Returns the prediction for the outputs (n,) of one row."""

    @abstractmethod
    def result(self, outputs: FloatArray, target: Any) -> tuple[str, float, bool | None]:
        """Returns the prediction as text, its loss, and whether it is right, for one evaluation row."""

    def head(self) -> Head:
        return Head(AutoModelForSequenceClassification, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, self.title, self.fit)

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        return tokenized(split, encoder, max_length, partial(self.encode_batch, split=split, encoder=encoder))

    def encode_batch(self, batch: Batch, split: Split, encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        found = encoder.encode(batch.texts(split.text_columns), batch.name, counts)
        return found | {"labels": [self.target(row[str(split.target_column)]) for row in batch.rows]}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        collator: Callable[[list[Any]], Mapping[str, Any]] = DataCollatorWithPadding(tokenizer)
        return collator

    def results(self, evaluation: Evaluation) -> Iterator[RowResult]:
        outputs = np.asarray(evaluation.outputs, dtype=np.float64)
        columns, target_column = list(self.options.texts or ()), str(self.options.target)
        for row, scores, target in zip(evaluation.rows, outputs, evaluation.targets, strict=True):
            prediction, loss, is_right = self.result(scores, target)
            yield RowResult(
                inputs={column: row[column] for column in columns},
                target=row[target_column],
                prediction=prediction,
                loss=loss,
                is_right=is_right,
            )

    @torch.inference_mode()
    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],  # noqa: ARG002
    ) -> list[Guess]:
        model.eval()
        outputs: Tensor = model(**tokenizer.pad(encoded, return_tensors="pt")).logits.double()
        if not torch.isfinite(outputs).all():
            raise NotFinite("The model's outputs are NaN; the training has diverged.")
        return [self.guess(row) for row in outputs.numpy()]


def log_softmax(outputs: FloatArray) -> FloatArray:
    """Returns the log-probability of each class. Shapes: (..., classes) -> (..., classes)."""
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    logs: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs
