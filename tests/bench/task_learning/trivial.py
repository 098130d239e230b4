"""Guesses that need no model, measured on the evaluation rows by the task's own metric."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations
from statistics import mean

from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.tasks.squad_answers import read_answers
from rankscope.contract.tasks.token_classification import OUTSIDE, words_in
from rankscope_worker.child.answers.rouge import rouge_scores
from rankscope_worker.child.answers.squad_scores import squad_scores


def majority(split: Split) -> float:
    """Share of evaluation rows with the most frequent target of the training rows."""
    (most, _), *_ = Counter(_targets(split, split.train)).most_common(1)
    return mean(target == most for target in _targets(split, split.evaluation))


def constant_number(_split: Split) -> float:
    """The correlation of a constant, as the task defines it."""
    return 0.0


def same_labels(split: Split) -> float:
    """Micro F1 of the set of labels that has the largest one on the training rows, guessed for every row."""
    train, evaluation = (
        [json.loads(target) for target in _targets(split, rows)] for rows in (split.train, split.evaluation)
    )
    sets = [set(some) for size in range(1, len(split.labels) + 1) for some in combinations(split.labels, size)]
    best = max(sets, key=lambda some: _micro_f1(split, train, some))
    return _micro_f1(split, evaluation, best)


def known_words(split: Split) -> float:
    """Entity F1 of each word's most frequent tag in the training rows; other words are in no entity."""
    from seqeval.metrics import f1_score as entity_f1

    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in _tagged(split, split.train):
        for word, tag in zip(words, tags, strict=True):
            seen[word][tag] += 1
    usual = {word: counts.most_common(1)[0][0] for word, counts in seen.items()}
    rows = _tagged(split, split.evaluation)
    found = [[usual.get(word, OUTSIDE) for word in words] for words, _ in rows]
    return float(entity_f1([tags for _, tags in rows], found, zero_division=0))


def first_sentence_of_context(split: Split) -> float:
    """F1 of the first sentence of the context as the answer to every question."""
    guesses = [_first_sentence(row[split.text_columns[1]]) for row in split.evaluation]
    answers = [read_answers(target).texts for target in _targets(split, split.evaluation)]
    return squad_scores(guesses, answers, with_unanswerable=False)["f1"]


def first_sentence_of_prompt(split: Split) -> float:
    """ROUGE-L of the first sentence of the prompt as its answer."""
    guesses = [_first_sentence(row[split.text_columns[0]]) for row in split.evaluation]
    return rouge_scores(guesses, _targets(split, split.evaluation))["rougeL"]


def _first_sentence(text: str) -> str:
    beginning = text.strip().split("\n")[0]
    end = beginning.find(". ")
    return beginning if end < 0 else beginning[: end + 1]


def _targets(split: Split, rows: Iterable[Row]) -> list[str]:
    return [row[str(split.target_column)] for row in rows]


def _tagged(split: Split, rows: Iterable[Row]) -> list[tuple[list[str], list[str]]]:
    (column,) = split.text_columns
    return [(words_in(row[column]), json.loads(row[str(split.target_column)])) for row in rows]


def _micro_f1(split: Split, rows: list[list[str]], guess: set[str]) -> float:
    binarizer = MultiLabelBinarizer(classes=split.labels)
    expected = binarizer.fit_transform(rows)
    found = binarizer.transform([guess] * len(rows))
    return float(f1_score(expected, found, average="micro", zero_division=0))
