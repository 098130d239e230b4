"""Answers of extractive question answering: texts and the characters of the context at which they begin."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from rankscope.contract.tasks.targets import AsText, BadTarget, Targets, text_or_json


class Answers(NamedTuple):
    texts: list[str]
    """Empty if the context does not contain the answer."""
    starts: list[int]

    @property
    def first(self) -> tuple[int, int] | None:
        """The characters of the first answer, from start to before end: the one that is learned."""
        return (self.starts[0], self.starts[0] + len(self.texts[0])) if self.texts else None


class BadAnswers(ValueError):
    """A cell that doesn't contain answers. The message is the reason for leaving out its row."""


def read_answers(text: str) -> Answers:
    """Returns the answers of a cell, given as JSON. Raises BadAnswers.

    Reads the hub's form, {"text": [...], "answer_start": [...]}, and that of SQuAD's files, a list of objects.
    """
    try:
        found = json.loads(text)
    except ValueError:
        raise BadAnswers("answers that are not JSON") from None
    if isinstance(found, list):
        if not all(isinstance(one, dict) for one in found):
            raise BadAnswers("answers that are not objects with text and answer_start")
        found = {name: [one.get(name) for one in found] for name in ("text", "answer_start")}
    if not isinstance(found, dict) or "text" not in found or "answer_start" not in found:
        raise BadAnswers("answers without text and answer_start")
    texts, starts = (value if isinstance(value, list) else [value] for value in (found["text"], found["answer_start"]))
    if len(texts) != len(starts):
        raise BadAnswers("answers with another number of texts than of positions")
    if not all(isinstance(one, str) and one.strip() for one in texts):
        raise BadAnswers("an answer that is not a text")
    if not all(type(start) is int and start >= 0 for start in starts):
        raise BadAnswers("an answer_start that is not a position, 0 or more")
    return Answers(texts, starts)


class SquadAnswers(Targets):
    """Checks each row's answers against its context, the last one of the texts."""

    accepts_lists = True

    def __init__(self, column: str, unanswerable: bool) -> None:
        super().__init__(column)
        self._unanswerable = unanswerable
        self._has_answer = False

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:  # noqa: ARG002
        text = text_or_json(value, as_text)
        if text is None:
            text = '{"text": [], "answer_start": []}'
        try:
            answers = read_answers(text)
        except BadAnswers as error:
            return str(error)
        if not answers.texts and not self._unanswerable:
            return "no answer (set task.unanswerable to learn from such questions)"
        return text, int(bool(answers.texts))

    def why_left_out(self, target: str, texts: Sequence[str]) -> str | None:
        answers, context = read_answers(target), texts[-1]
        for text, start in zip(*answers, strict=True):
            if start + len(text) > len(context):
                return "an answer that ends outside of its context"
            if context[start : start + len(text)] != text:
                return "an answer that is not at its answer_start in the context"
        self._has_answer = self._has_answer or bool(answers.texts)
        return None

    def finish(self) -> None:
        if not self._has_answer:
            raise BadTarget(f"is {self.column!r}, where no question has an answer", "Use another column.")
