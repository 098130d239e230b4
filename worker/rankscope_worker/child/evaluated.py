"""Evaluated: gives a task the outputs of an evaluation together with the rows that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasets import Dataset
from transformers import EvalPrediction, PreTrainedTokenizerBase

from rankscope.catalog.data.entry import Row
from rankscope_worker.child.tasks import Evaluation, TrainedTask


@dataclass
class Evaluated:
    task: TrainedTask
    encoded: Dataset
    rows: Sequence[Row]
    tokenizer: PreTrainedTokenizerBase

    def measure(self, prediction: EvalPrediction) -> dict[str, float]:
        """Trainer's `compute_metrics`."""
        return self.task.metrics(
            Evaluation(prediction.predictions, prediction.label_ids, self.encoded, self.rows, self.tokenizer)
        )
