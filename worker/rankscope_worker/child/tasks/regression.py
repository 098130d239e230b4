"""Regression: a head with one output, mean squared error, Pearson's and Spearman's correlation."""

from typing import Any

import numpy as np
from transformers import PreTrainedConfig

from rankscope.contract.predictions import NumberGuess
from rankscope_worker.child.tasks.sequence_head import FloatArray, SequenceHeadTask
from rankscope_worker.child.tasks.task import Evaluation, RowNumbers


class Regression(SequenceHeadTask):
    def fit(self, config: PreTrainedConfig) -> None:
        config.id2label, config.label2id = {0: "number"}, {"number": 0}
        config.problem_type = "regression"

    def target(self, text: str) -> float:
        return float(text)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """From outputs (rows, 1) and targets (rows,). A correlation is 0 if one side is constant."""
        from scipy.stats import pearsonr, spearmanr

        outputs = np.asarray(evaluation.outputs, dtype=np.float64).reshape(-1)
        targets = np.asarray(evaluation.targets, dtype=np.float64).reshape(-1)
        if not np.isfinite(outputs).all():
            return dict.fromkeys(("pearson", "spearman", "mse"), float("nan"))
        is_constant = len(targets) < 2 or np.ptp(outputs) == 0 or np.ptp(targets) == 0
        return {
            "pearson": 0.0 if is_constant else float(pearsonr(outputs, targets).statistic),
            "spearman": 0.0 if is_constant else float(spearmanr(outputs, targets).statistic),
            "mse": float(np.mean((outputs - targets) ** 2)),
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        outputs = np.asarray(evaluation.outputs, dtype=np.float64).reshape(-1)
        return {"mse": (outputs - np.asarray(evaluation.targets, dtype=np.float64).reshape(-1)) ** 2}

    def guess(self, outputs: FloatArray) -> NumberGuess:
        return NumberGuess(value=float(outputs[0]))

    def result(self, outputs: FloatArray, target: Any) -> tuple[str, float, bool | None]:
        return f"{outputs[0]:.4g}", float((outputs[0] - target) ** 2), None
