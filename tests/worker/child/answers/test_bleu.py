"""BLEU and chrF by their definitions: matching n-grams of words, and of characters, over all texts together."""

import math
from collections import Counter

import pytest

from rankscope_worker.child.answers.bleu import bleu_scores

TEXTS = ["the cat sat on the mat in the old house", "a good film with a dull end"]
TARGETS = ["the cat sat on the mat in an old house today", "a good film with a dull end"]


def grams(items: list[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(items[at : at + size]) for at in range(len(items) - size + 1))


def matches(size: int, split: bool) -> tuple[int, int, int]:
    """Matching n-grams, those of the texts, and those of the targets."""
    found = [0, 0, 0]
    for text, target in zip(TEXTS, TARGETS, strict=True):
        some, others = (grams(one.split() if split else list(one.replace(" ", "")), size) for one in (text, target))
        for at, count in enumerate(((some & others).total(), some.total(), others.total())):
            found[at] += count
    return found[0], found[1], found[2]


def test_bleu_is_the_geometric_mean_of_four_precisions_times_the_brevity_penalty() -> None:
    precisions = [right / written for right, written, _ in (matches(size, True) for size in range(1, 5))]
    written, wanted = (sum(len(text.split()) for text in side) for side in (TEXTS, TARGETS))
    expected = math.exp(sum(map(math.log, precisions)) / 4) * math.exp(min(0.0, 1 - wanted / written))
    assert 0.5 < expected < 0.95
    assert bleu_scores(TEXTS, TARGETS)["bleu"] == pytest.approx(expected)


def test_chrf_weighs_recall_of_characters_twice() -> None:
    counts = [matches(size, False) for size in range(1, 7)]
    precision = sum(right / written for right, written, _ in counts) / 6
    recall = sum(right / wanted for right, _, wanted in counts) / 6
    assert bleu_scores(TEXTS, TARGETS)["chrf"] == pytest.approx(5 * precision * recall / (4 * precision + recall))


def test_empty_and_unlike_texts_score_zero() -> None:
    assert bleu_scores(["", ""], TARGETS) == {"bleu": 0.0, "chrf": 0.0}
