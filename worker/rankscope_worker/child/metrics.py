"""Accuracy and Matthews' correlation from logits, with numpy alone."""

import numpy as np
import numpy.typing as npt
from transformers import EvalPrediction

IntArray = npt.NDArray[np.integer]


def classification_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Accuracy and Matthews' correlation of a Trainer's evaluation: logits (rows, classes), labels (rows,)."""
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    guesses, labels = np.asarray(logits).argmax(axis=-1), np.asarray(prediction.label_ids)
    return {"accuracy": float(np.mean(guesses == labels)), "mcc": matthews(guesses, labels, np.shape(logits)[-1])}


def matthews(guesses: IntArray, labels: IntArray, classes: int) -> float:
    """Matthews' correlation for any number of classes (Gorodkin 2004); 0 where one side has only one class.

    With confusion matrix C, s rows of which c are right, t_k true and p_k guessed of class k:
    (c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2)).
    """
    true = np.bincount(labels, minlength=classes).astype(np.float64)
    guessed = np.bincount(guesses, minlength=classes).astype(np.float64)
    rows, right = float(len(labels)), float(np.sum(guesses == labels))
    below = (rows**2 - guessed @ guessed) * (rows**2 - true @ true)
    return float((right * rows - true @ guessed) / np.sqrt(below)) if below > 0 else 0.0
