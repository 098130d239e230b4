"""Text classification: a head with one output for each class, cross-entropy, accuracy, F1 and Matthews' correlation."""

from typing import Any

import numpy as np
from transformers import PreTrainedConfig

from rankscope.contract.predictions import ClassGuess
from rankscope_worker.child.tasks.class_counts import Counts, confusion_counts, f1_scores, matthews_correlation
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
        hits, guessed, present = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
        each = f1_scores(hits, guessed, present)
        return {
            "accuracy": float(hits.sum() / counts.sum()),
            "mcc": matthews_correlation(counts),
            # Two classes: of the second one, which is the positive one of GLUE's tasks.
            "f1": float(each[1] if len(each) == 2 else each.mean()),
            "f1_macro": float(each.mean()),
            "f1_micro": float(f1_scores(hits.sum(), guessed.sum(), present.sum())),
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        outputs, targets = np.asarray(evaluation.outputs, dtype=np.float64), evaluation.targets
        losses = -np.take_along_axis(log_softmax(outputs), np.asarray(targets)[:, None], axis=-1)[:, 0]
        return {"accuracy": outputs.argmax(axis=-1) == targets, "loss": losses}

    def confusion(self, evaluation: Evaluation) -> list[list[int]]:
        counts: list[list[int]] = self._counts(evaluation).tolist()
        return counts

    def _counts(self, evaluation: Evaluation) -> Counts:
        return confusion_counts(evaluation.targets, evaluation.outputs.argmax(axis=-1), len(self.labels))

    def guess(self, outputs: FloatArray) -> ClassGuess:
        probabilities = np.exp(log_softmax(outputs))
        return ClassGuess(
            label=self.labels[int(probabilities.argmax())],
            probabilities=dict(zip(self.labels, probabilities.tolist(), strict=True)),
        )

    def result(self, outputs: FloatArray, target: Any) -> tuple[str, float, bool | None]:
        guess = int(outputs.argmax())
        return self.labels[guess], -float(log_softmax(outputs)[int(target)]), guess == int(target)
