"""Grading: a classifier of grades that is measured by how far off it is."""

import numpy as np
from transformers import EvalPrediction

from rankscope_worker.child.tasks.text_classification import TextClassification


class Grading(TextClassification):
    def metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        guesses = np.asarray(prediction.predictions).argmax(axis=-1)
        return {"distance": float(np.abs(guesses - np.asarray(prediction.label_ids)).mean())}
