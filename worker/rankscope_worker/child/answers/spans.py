"""Answers that are spans of a context: windows over long contexts, and the best span of all windows of a question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Offsets = Sequence[Sequence[int]]
"""Of each token of a window, the characters of the context that it covers, as [start, end); [-1, -1] outside of it."""


@dataclass(frozen=True)
class Window:
    """One window over a question's context, with the model's outputs for its tokens."""

    offsets: Offsets
    null_index: int
    """The token that stands for "no answer"."""
    start_logits: npt.NDArray[np.floating]
    end_logits: npt.NDArray[np.floating]


@dataclass(frozen=True)
class Span:
    """Part of a context, from character `start` to before `end`; the score is the sum of both logits."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Found:
    spans: list[Span]
    """The best spans, the best one first, without repetitions."""
    null_score: float
    """Score of "no answer": the lowest of all windows, since an answer is in one of them only."""

    def best(self, *, may_be_empty: bool, null_threshold: float) -> Span | None:
        """Returns the answer; None for "no answer", if it beats the best span by more than the threshold."""
        first = self.spans[0] if self.spans else None
        if may_be_empty and (first is None or self.null_score - first.score > null_threshold):
            return None
        return first


def find_spans(windows: Sequence[Window], n_best: int, max_answer_tokens: int) -> Found:
    """Returns the `n_best` spans of all windows, from their `n_best` likeliest starts and ends.

    Ties go to the earlier one.
    """
    scores: dict[tuple[int, int], float] = {}
    for window in windows:
        inside = np.array([start >= 0 for start, _ in window.offsets])
        length = len(inside)
        begins = _likeliest(window.start_logits[:length], inside, n_best)
        ends = _likeliest(window.end_logits[:length], inside, n_best)
        for begin in begins:
            for end in ends:
                if begin <= end < begin + max_answer_tokens:
                    place = (int(window.offsets[begin][0]), int(window.offsets[end][1]))
                    score = float(window.start_logits[begin]) + float(window.end_logits[end])
                    scores[place] = max(score, scores.get(place, score))
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    null = min(
        float(window.start_logits[window.null_index]) + float(window.end_logits[window.null_index])
        for window in windows
    )
    return Found([Span(*place, score) for place, score in ranked[:n_best]], null)


def token_span(offsets: Offsets, start: int, end: int) -> tuple[int, int] | None:
    """Returns the first and the last token of the characters from `start` to before `end`; None if some are missing."""
    inside = [index for index, (begin, _) in enumerate(offsets) if begin >= 0]
    if not inside or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return None
    first = max((index for index in inside if offsets[index][0] <= start), default=inside[0])
    last = min((index for index in inside if offsets[index][1] >= end), default=inside[-1])
    return first, max(first, last)


def _likeliest(logits: npt.NDArray[np.floating], inside: npt.NDArray[np.bool_], count: int) -> list[int]:
    """Returns the indices of the largest logits inside the context; of equal ones, the earlier index."""
    indices = np.flatnonzero(inside)
    return [int(index) for index in indices[np.argsort(-logits[indices], kind="stable")[:count]]]
