"""ROUGE by the definition: overlapping n-grams, and the longest common subsequence."""

import math

from rankscope_worker.child.answers.rouge import rouge_scores


def f1(overlap: int, written: int, wanted: int) -> float:
    return 2 * overlap / (written + wanted)


def test_scores_are_means_of_the_overlaps_of_words_pairs_and_sequences() -> None:
    found = rouge_scores(["the cat sat on mats", "nothing alike"], ["a cat on the mat sat", "other words"])
    # With Porter's stemmer, mats is mat: words the, cat, sat, on, mat of 5 and 6; no pair; sequence cat, on, mat.
    assert math.isclose(found["rouge1"], f1(5, 5, 6) / 2)
    assert found["rouge2"] == 0
    assert math.isclose(found["rougeL"], f1(3, 5, 6) / 2)
