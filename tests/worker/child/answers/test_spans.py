"""The best span of several windows equals that of a search over all spans."""

import random

import numpy as np
import pytest

from rankscope_worker.child.answers.spans import Window, find_spans, token_span

CONTEXT = [[start, start + 3] for start in range(0, 40, 4)]
"""Ten words of three letters."""


def windows(chance: random.Random) -> list[Window]:
    """Three overlapping windows of five words each, after a null token and a question of two tokens."""
    found = []
    for first in (0, 2, 5):
        offsets = [[-1, -1], [-1, -1], [-1, -1], *CONTEXT[first : first + 5], [-1, -1]]
        start, end = (np.array([chance.gauss(0, 3) for _ in range(12)]) for _ in range(2))  # padded by three
        found.append(Window(offsets, 0, start, end))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_best_spans_are_those_of_a_search_over_all(seed: int) -> None:
    some = windows(random.Random(seed))
    every: dict[tuple[int, int], float] = {}
    for window in some:
        for begin in range(len(window.offsets)):
            for end in range(begin, min(begin + 3, len(window.offsets))):
                if window.offsets[begin][0] >= 0 and window.offsets[end][0] >= 0:
                    place = (window.offsets[begin][0], window.offsets[end][1])
                    score = window.start_logits[begin] + window.end_logits[end]
                    every[place] = max(score, every.get(place, -np.inf))
    found = find_spans(some, n_best=20, max_answer_tokens=3)
    assert [(span.start, span.end) for span in found.spans] == sorted(every, key=lambda place: -every[place])[:20]
    assert found.null_score == min(window.start_logits[0] + window.end_logits[0] for window in some)


def test_nothing_is_answered_if_its_score_exceeds_the_best_by_more_than_the_threshold() -> None:
    found = find_spans(windows(random.Random(0)), 20, 3)
    lead = found.null_score - found.spans[0].score
    assert found.best(may_be_empty=False, null_threshold=-1000) == found.spans[0]
    assert found.best(may_be_empty=True, null_threshold=lead) == found.spans[0]
    assert found.best(may_be_empty=True, null_threshold=lead - 1e-6) is None


@pytest.mark.parametrize(
    ("characters", "tokens"),
    [((8, 15), (4, 5)), ((9, 10), (4, 4)), ((4, 23), (3, 7)), ((0, 3), None), ((20, 27), None)],
)
def test_the_tokens_of_an_answer_are_those_that_cover_its_characters(
    characters: tuple[int, int], tokens: tuple[int, int] | None
) -> None:
    offsets = [[-1, -1], [-1, -1], [-1, -1], *CONTEXT[1:6], [-1, -1]]
    assert token_span(offsets, *characters) == tokens
