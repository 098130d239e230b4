"""F1 and Matthews' correlation from counts. scikit-learn's are the same, but importing it takes a second of each run's start."""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def confusion_matrix(targets: npt.NDArray[np.integer], guesses: npt.NDArray[np.integer], classes: int) -> Counts:
    """Counts of rows by target (first axis) and guess: (classes, classes)."""
    cells = np.bincount(targets * classes + guesses, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def f1_scores(right: Counts, guessed: Counts, actual: Counts) -> npt.NDArray[np.float64]:
    """F1 of each class, 2 right / (guessed + actual); 0 for a class that is neither guessed nor actual.

    right: rows that are of the class and guessed as it; guessed and actual: those rows and the wrong ones.
    """
    total = guessed + actual
    return np.where(total > 0, 2 * right / np.maximum(total, 1), 0.0)


def matthews_correlation(confusion: Counts) -> float:
    """Gorodkin's correlation of targets and guesses for any number of classes; 0 if one of them is constant."""
    actual, guessed = confusion.sum(axis=1).astype(float), confusion.sum(axis=0).astype(float)
    rows, right = float(confusion.sum()), float(np.trace(confusion))
    spread = (rows**2 - guessed @ guessed) * (rows**2 - actual @ actual)
    return float((right * rows - actual @ guessed) / np.sqrt(spread)) if spread > 0 else 0.0
