"""Exact match and F1 of extracted answers, as the evaluation scripts of SQuAD 1.1 and 2.0 define them."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """Lower-cases the answer, then removes ASCII punctuation, English articles and extra spaces, in this order."""
    bare = answer.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def exact_match(guess: str, answers: Sequence[str]) -> float:
    """1 if the guess equals an answer after normalisation, otherwise 0."""
    return float(any(normalized(guess) == normalized(answer) for answer in answers))


def f1(guess: str, answers: Sequence[str], *, empty_is_equal: bool) -> float:
    """The largest F1 between the words of the guess and those of an answer, counted with repetitions.

    With `empty_is_equal`, as in SQuAD 2.0, two texts without words score 1; in SQuAD 1.1 they score 0.
    """
    return max(_f1(normalized(guess).split(), normalized(answer).split(), empty_is_equal) for answer in answers)


def squad_scores(
    guesses: Sequence[str], answers: Sequence[Sequence[str]], *, with_unanswerable: bool
) -> Mapping[str, float]:
    """Returns the means over all questions, between 0 and 1. `answers[i]` are the right answers of question i.

    With `with_unanswerable`, the rules of SQuAD 2.0: a question without an answer is right if the guess is empty.
    """
    if with_unanswerable:
        answers = [[one for one in each if normalized(one)] or [""] for each in answers]
    count = len(guesses)
    pairs = list(zip(guesses, answers, strict=True))
    return {
        "exact_match": sum(exact_match(guess, right) for guess, right in pairs) / count,
        "f1": sum(f1(guess, right, empty_is_equal=with_unanswerable) for guess, right in pairs) / count,
    }


def _f1(guess: Sequence[str], answer: Sequence[str], empty_is_equal: bool) -> float:
    if empty_is_equal and not (guess and answer):
        return float(guess == answer)
    common = (Counter(guess) & Counter(answer)).total()
    if not common:
        return 0.0
    precision, recall = common / len(guess), common / len(answer)
    return 2 * precision * recall / (precision + recall)
