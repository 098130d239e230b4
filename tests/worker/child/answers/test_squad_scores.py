"""Exact match and F1 are those of SQuAD's evaluation scripts."""

import random
import re
import string
from collections import Counter

import pytest
from torchmetrics.functional.text import squad

from rankscope_worker.child.answers.squad_scores import squad_scores

WORDS = [
    "the",
    "a",
    "An",
    "cat",
    "Cat.",
    "sat,",
    "on",
    "mat",
    "1976",
    "in",
    "U.S.",
    "-",
    "the-end",
    "Köln",
    " ",
    "café",
]


def texts(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 6)))


def test_scores_equal_those_of_the_script_of_squad_1_on_random_answers() -> None:
    chance = random.Random(0)
    guesses, answers = [], []
    for _ in range(500):
        # torchmetrics scores an answer without words by the rule of SQuAD 2.0.
        right = [f"{texts(chance)} mat" for _ in range(chance.randint(1, 3))]
        words = chance.choice(right).split() or [""]
        guesses.append(chance.choice([texts(chance), " ".join(words[: chance.randint(0, 6)]), ""]))
        answers.append(right)
    expected = squad(
        [{"prediction_text": guess, "id": str(n)} for n, guess in enumerate(guesses)],
        [
            {"answers": {"text": right, "answer_start": [0] * len(right)}, "id": str(n)}
            for n, right in enumerate(answers)
        ],
    )
    found = squad_scores(guesses, answers, with_unanswerable=False)
    assert 0 < found["exact_match"] < found["f1"] < 1
    assert 100 * found["exact_match"] == pytest.approx(float(expected["exact_match"]), rel=1e-6)
    assert 100 * found["f1"] == pytest.approx(float(expected["f1"]), rel=1e-6)


@pytest.mark.parametrize(
    ("guess", "answers", "exact", "f1"),
    [
        ("", [], 1, 1),
        ("the", [], 1, 1),  # it becomes empty
        ("cat", [], 0, 0),
        ("", ["cat"], 0, 0),
        ("a cat", ["Cat.", "dog"], 1, 1),
        ("black cat", ["cat"], 0, 2 / 3),
        ("", ["the", "cat"], 0, 0),  # answers without words don't count
    ],
)
def test_questions_without_an_answer_are_right_if_nothing_is_answered(
    guess: str, answers: list[str], exact: float, f1: float
) -> None:
    found = squad_scores([guess], [answers], with_unanswerable=True)
    assert found["exact_match"] == exact
    assert found["f1"] == pytest.approx(f1)


def test_an_answer_without_words_has_no_f1_in_squad_1() -> None:
    assert squad_scores(["the"], [["the"]], with_unanswerable=False) == {"exact_match": 1, "f1": 0}


def words(text: str) -> list[str]:
    """The rule of SQuAD's scripts: lower case, without punctuation and articles."""
    plain = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def naive(guess: str, answers: list[str]) -> tuple[float, float]:
    """Exact match and F1 of one question by the rules of the script of SQuAD 2.0."""
    gold = [answer for answer in answers if words(answer)] or [""]
    f1s = []
    for answer in gold:
        some, others = words(guess), words(answer)
        common = sum((Counter(some) & Counter(others)).values())
        none = not some or not others
        f1s.append(float(some == others) if none else 2 * common / (len(some) + len(others)))
    return float(any(words(guess) == words(answer) for answer in gold)), max(f1s)


def test_scores_equal_the_rules_of_the_script_of_squad_2_on_random_answers() -> None:
    chance = random.Random(1)
    guesses, answers = [], []
    for number in range(500):
        right = [texts(chance) for _ in range(chance.randint(0, 3) * (number % 3 > 0))]
        guesses.append(chance.choice([texts(chance), "", *right]))
        answers.append(right)
    found = squad_scores(guesses, answers, with_unanswerable=True)
    expected = [naive(guess, right) for guess, right in zip(guesses, answers, strict=True)]
    assert 0 < found["exact_match"] < found["f1"] < 1
    assert found["exact_match"] == pytest.approx(sum(exact for exact, _ in expected) / 500)
    assert found["f1"] == pytest.approx(sum(f1 for _, f1 in expected) / 500)
