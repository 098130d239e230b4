"""F1 and Matthews' correlation from counts of decisions, equal to scikit-learn's, whose import takes a second of a core."""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion_counts(targets: NDArray[np.integer], guesses: NDArray[np.integer], classes: int) -> Counts:
    """Returns how many rows of each class were given each class. Shapes: (rows,), (rows,) -> (classes, classes)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (targets, guesses), 1)
    return counts


def f1_scores(hits: Counts, guessed: Counts, present: Counts) -> NDArray[np.float64]:
    """F1 = 2 hits / (guessed + present), and 0 where nothing was guessed and nothing is present."""
    decisions = guessed + present
    return 2 * hits / np.where(decisions == 0, 1, decisions)


def matthews_correlation(confusion: Counts) -> float:
    """Matthews' correlation for any number of classes (Gorodkin 2004), and 0 where all targets or all guesses are the same."""
    # Python's integers: the products of four counts overflow 64 bits at 60,000 rows.
    present, guessed = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    rows, right = sum(present), int(confusion.trace())
    spread = (rows**2 - sum(count**2 for count in guessed)) * (rows**2 - sum(count**2 for count in present))
    shared = right * rows - sum(one * other for one, other in zip(present, guessed, strict=True))
    return float(shared / np.sqrt(float(spread))) if spread else 0.0
