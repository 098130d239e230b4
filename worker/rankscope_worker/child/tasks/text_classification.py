"""Text classification: a head with one output for each class, cross-entropy, accuracy, F1 and Matthews' correlation."""

from typing import Any

import numpy as np
from transformers import PreTrainedConfig

from rankscope.contract.predictions import ClassGuess
from rankscope_worker.child.tasks.class_scores import Counts, confusion_matrix, f1_scores, matthews_correlation
from rankscope_worker.child.tasks.sequence_head import FloatArray, SequenceHeadTask, log_softmax
from rankscope_worker.child.tasks.task import Evaluation, RowNumbers


class TextClassification(SequenceHeadTask):
    def fit(self, config: PreTrainedConfig) -> None:
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {label: number for number, label in enumerate(self.labels)}
        config.problem_type = "single_label_classification"

    def target(self, text: str) -> int:
        return self.labels.index(text)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """From logits (rows, classes) and labels (rows,)."""
        counts = self._counts(evaluation)
        right, guessed, actual = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
        scores = f1_scores(right, guessed, actual)
        accuracy, macro = float(right.sum() / counts.sum()), float(scores.mean())
        return {
            "accuracy": accuracy,
            "mcc": matthews_correlation(counts),
            # Two classes: of the second one, which is the positive one of GLUE's tasks.
            "f1": float(scores[1]) if len(self.labels) == 2 else macro,
            "f1_macro": macro,
            # With one label a row, each mistake is one too many and one missing: precision and recall are the accuracy.
            "f1_micro": accuracy,
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        outputs, targets = np.asarray(evaluation.outputs, dtype=np.float64), evaluation.targets
        losses = -np.take_along_axis(log_softmax(outputs), np.asarray(targets)[:, None], axis=-1)[:, 0]
        return {"accuracy": outputs.argmax(axis=-1) == targets, "loss": losses}

    def confusion(self, evaluation: Evaluation) -> list[list[int]]:
        counts: list[list[int]] = self._counts(evaluation).tolist()
        return counts

    def _counts(self, evaluation: Evaluation) -> Counts:
        return confusion_matrix(evaluation.targets, evaluation.outputs.argmax(axis=-1), len(self.labels))

    def guess(self, outputs: FloatArray) -> ClassGuess:
        probabilities = np.exp(log_softmax(outputs))
        return ClassGuess(
            label=self.labels[int(probabilities.argmax())],
            probabilities=dict(zip(self.labels, probabilities.tolist(), strict=True)),
        )

    def result(self, outputs: FloatArray, target: Any) -> tuple[str, float, bool | None]:
        guess = int(outputs.argmax())
        return self.labels[guess], -float(log_softmax(outputs)[int(target)]), guess == int(target)
