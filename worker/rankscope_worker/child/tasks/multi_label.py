"""Multi-label classification: one output for each label, binary cross-entropy, F1 and exact match."""

import json
from typing import Any

import numpy as np
from transformers import PreTrainedConfig

from rankscope.contract.predictions import LabelsGuess
from rankscope_worker.child.tasks.sequence_head import FloatArray, SequenceHeadTask
from rankscope_worker.child.tasks.task import Evaluation, RowNumbers


class MultiLabelClassification(SequenceHeadTask):
    def fit(self, config: PreTrainedConfig) -> None:
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {label: number for number, label in enumerate(self.labels)}
        config.problem_type = "multi_label_classification"

    def target(self, text: str) -> list[float]:
        chosen = set(json.loads(text))
        return [float(label in chosen) for label in self.labels]

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """From logits and targets (rows, labels). A label is predicted at a probability of 0.5, which is logit 0."""
        from sklearn.metrics import f1_score

        guesses, targets = evaluation.outputs >= 0, evaluation.targets >= 0.5
        return {
            "f1_micro": float(f1_score(targets, guesses, average="micro", zero_division=0)),
            "f1_macro": float(f1_score(targets, guesses, average="macro", zero_division=0)),
            "exact_match": float(np.mean((guesses == targets).all(axis=-1))),
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        outputs, targets = np.asarray(evaluation.outputs, dtype=np.float64), np.asarray(evaluation.targets)
        right = ((outputs >= 0) == (targets >= 0.5)).all(axis=-1)
        return {"exact_match": right, "loss": np.mean(np.logaddexp(0, outputs) - targets * outputs, axis=-1)}

    def guess(self, outputs: FloatArray) -> LabelsGuess:
        probabilities = 1 / (1 + np.exp(-outputs))
        return LabelsGuess(
            labels=self._chosen(outputs),
            probabilities=dict(zip(self.labels, probabilities.tolist(), strict=True)),
        )

    def result(self, outputs: FloatArray, target: Any) -> tuple[str, float, bool | None]:
        # log(1 + e^x) - t x, the cross-entropy of a sigmoid.
        loss = float(np.mean(np.logaddexp(0, outputs) - target * outputs))
        is_right = bool(((outputs >= 0) == (target >= 0.5)).all())
        return json.dumps(self._chosen(outputs), ensure_ascii=False), loss, is_right

    def _chosen(self, outputs: FloatArray) -> list[str]:
        return [label for label, output in zip(self.labels, outputs, strict=True) if output >= 0]
