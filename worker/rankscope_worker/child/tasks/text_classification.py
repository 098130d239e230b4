"""Text classification: a head with one output for each class, cross-entropy, accuracy, F1 and Matthews' correlation."""

from typing import Any

import numpy as np
from transformers import PreTrainedConfig

from rankscope.contract.predictions import ClassGuess
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
        # Takes a second, which a process that only predicts doesn't need.
        from sklearn.metrics import f1_score, matthews_corrcoef

        guesses, targets = evaluation.outputs.argmax(axis=-1), evaluation.targets
        classes = list(range(len(self.labels)))
        macro = f1_score(targets, guesses, labels=classes, average="macro", zero_division=0)
        # With two classes: the F1 of the second one, which is the positive class in GLUE's tasks.
        f1 = f1_score(targets, guesses, pos_label=1, zero_division=0) if len(classes) == 2 else macro
        return {
            "accuracy": float(np.mean(guesses == targets)),
            "mcc": float(matthews_corrcoef(targets, guesses)),
            "f1": float(f1),
            "f1_macro": float(macro),
            "f1_micro": float(f1_score(targets, guesses, labels=classes, average="micro", zero_division=0)),
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        outputs, targets = np.asarray(evaluation.outputs, dtype=np.float64), evaluation.targets
        losses = -np.take_along_axis(log_softmax(outputs), np.asarray(targets)[:, None], axis=-1)[:, 0]
        return {"accuracy": outputs.argmax(axis=-1) == targets, "loss": losses}

    def confusion(self, evaluation: Evaluation) -> list[list[int]]:
        from sklearn.metrics import confusion_matrix

        counts: list[list[int]] = confusion_matrix(
            evaluation.targets, evaluation.outputs.argmax(axis=-1), labels=list(range(len(self.labels)))
        ).tolist()
        return counts

    def guess(self, outputs: FloatArray) -> ClassGuess:
        probabilities = np.exp(log_softmax(outputs))
        return ClassGuess(
            label=self.labels[int(probabilities.argmax())],
            probabilities=dict(zip(self.labels, probabilities.tolist(), strict=True)),
        )

    def result(self, outputs: FloatArray, target: Any) -> tuple[str, float, bool | None]:
        guess = int(outputs.argmax())
        return self.labels[guess], -float(log_softmax(outputs)[int(target)]), guess == int(target)
