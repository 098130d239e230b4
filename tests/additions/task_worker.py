"""Grading: a classifier of grades that is measured by how far off it is."""

import numpy as np

from rankscope_worker.child.tasks.task import Evaluation
from rankscope_worker.child.tasks.text_classification import TextClassification


class Grading(TextClassification):
    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        guesses = evaluation.outputs.argmax(axis=-1)
        return {"distance": float(np.abs(guesses - evaluation.targets).mean())}
