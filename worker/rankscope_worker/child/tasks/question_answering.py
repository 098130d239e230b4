"""Extractive question answering: start and end of the answer in a context, read in overlapping windows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    AutoModelForQuestionAnswering,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
)

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.evaluation.results import RowResult
from rankscope.contract.predictions import Guess, SpanGuess
from rankscope.contract.tasks import QuestionAnswering as Options
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.squad_answers import read_answers
from rankscope_worker.child.answers.spans import Found, Span, Window, find_spans, token_span
from rankscope_worker.child.answers.squad_scores import squad_scores
from rankscope_worker.child.loading.data import Batch, Notice, TokenizedSplit, tokenized
from rankscope_worker.child.loading.encoding import Counts, TextEncoder, UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks.task import Evaluation, Learned, NotFinite, RowNumbers, TrainedTask

_LONGEST_QUESTION = 64
"""Tokens of a question; the rest is not read, as in BERT's own SQuAD script."""
_OURS = ("offsets", "row", "null_index")
"""Encoded columns that the model doesn't take."""
_UNSEEN = "unseen_answers"
"""Number of rows in each batch whose answer is in no window."""


class QuestionAnswering(TrainedTask):
    peft_type = "QUESTION_ANS"
    label_names: Sequence[str] = ("start_positions", "end_positions")

    def __init__(self, options: Task, labels: Sequence[str]) -> None:  # noqa: ARG002  (there are no classes)
        assert isinstance(options, Options)
        self._options = options
        self._contexts: list[str] = []
        """Of the evaluation rows."""
        self._answers: list[list[str]] = []
        self._columns: list[str] = []
        self._guessed: tuple[Evaluation, list[str]] | None = None
        """The newest evaluation and its answers."""

    def head(self) -> Head:
        return Head(
            AutoModelForQuestionAnswering,
            MODEL_FOR_QUESTION_ANSWERING_MAPPING,
            "question-answering head",
            lambda _config: None,
            names=("qa_outputs",),
        )

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        rows = tokenized(split, encoder, max_length, partial(self.encode_batch, split=split, encoder=encoder))
        context = split.text_columns[1]
        self._columns = list(split.text_columns)
        self._contexts = [row[context] for row in split.evaluation]
        self._answers = [read_answers(row[str(split.target_column)]).texts for row in split.evaluation]
        notices = [each for each in rows.notices if each.code != "max_length_capped" or encoder.max_length < max_length]
        unseen = sum(rows.counts.noted.get(_UNSEEN, ()))
        if unseen:
            notices.append(
                Notice(
                    "answers_not_in_a_window",
                    f"The answers of {unseen} of {len(split.train) + len(split.evaluation)} rows are in no window as a "
                    "whole.",
                    "Raise task.overlap or training.max_length, or use shorter answers.",
                )
            )
        return replace(rows, notices=notices)

    def encode_batch(self, batch: Batch, split: Split, encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        found = self._windows(batch.texts(split.text_columns), encoder, counts)
        answers = [read_answers(row[str(split.target_column)]) for row in batch.rows]
        spans = [
            answers[row].first and token_span(offsets, *answers[row].first)
            for row, offsets in zip(found["row"], found["offsets"], strict=True)
        ]
        shown = {row for row, span in zip(found["row"], spans, strict=True) if span is not None}
        counts.note(_UNSEEN, sum(bool(each.texts) and row not in shown for row, each in enumerate(answers)))
        places = [span or (null, null) for span, null in zip(spans, found["null_index"], strict=True)]
        found["start_positions"] = [start for start, _ in places]
        found["end_positions"] = [end for _, end in places]
        found["row"] = [batch.indices[row] for row in found["row"]]
        return found

    def given_texts(self, row: Row, split: Split, encoder: TextEncoder) -> dict[str, str]:
        question, context = split.text_columns
        (short,) = self._short_questions([row[question]], encoder.tokenizer)
        return {question: short, context: row[context]}

    def learned(self, row: Row, encoded: Mapping[str, Any], split: Split) -> Learned:
        start, end = encoded["start_positions"], encoded["end_positions"]
        answer = next(iter(read_answers(row[str(split.target_column)]).texts), None)
        name = "no answer" if start == encoded["null_index"] else "answer"
        target = "no answer" if answer is None else answer
        return Learned(target, sorted({start, end}), [(start, end + 1, name)])

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        padded = DataCollatorWithPadding(tokenizer)

        def collate(rows: list[Any]) -> Mapping[str, Any]:
            batch: Mapping[str, Any] = padded(
                [{name: value for name, value in row.items() if name not in _OURS} for row in rows]
            )
            return batch

        return collate

    def kept_outputs(self, outputs: Any, targets: Any) -> tuple[torch.Tensor, ...]:  # noqa: ARG002
        start_logits, end_logits = outputs[:2]
        return start_logits.float(), end_logits.float()

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        return self.metrics_of(evaluation, range(len(self._answers)))

    def metrics_of(self, evaluation: Evaluation, rows: Sequence[int]) -> dict[str, float]:
        guesses = self._guesses(evaluation)
        return dict(
            squad_scores(
                [guesses[row] for row in rows],
                [self._answers[row] for row in rows],
                with_unanswerable=self._options.unanswerable,
            )
        )

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        pairs = zip(self._guesses(evaluation), self._answers, strict=True)
        scores = [squad_scores([one], [right], with_unanswerable=self._options.unanswerable) for one, right in pairs]
        return {name: [score[name] for score in scores] for name in ("f1", "exact_match")}

    def results(self, evaluation: Evaluation) -> Iterable[RowResult]:
        """The loss of a row is 1 - F1."""
        guesses = self._guesses(evaluation)
        for row, guess, answers in zip(evaluation.rows, guesses, self._answers, strict=True):
            scores = squad_scores([guess], [answers], with_unanswerable=self._options.unanswerable)
            yield RowResult(
                inputs={column: row[column] for column in self._columns},
                target=answers[0] if answers else "",
                prediction=guess,
                loss=1 - scores["f1"],
                is_right=scores["exact_match"] == 1,
            )

    def _guesses(self, evaluation: Evaluation) -> list[str]:
        """Returns the answer to each question; empty for no answer."""
        if self._guessed is not None and self._guessed[0] is evaluation:
            return self._guessed[1]
        starts, ends = evaluation.outputs
        windows: dict[int, list[Window]] = {}
        for at, one in enumerate(evaluation.encoded):
            windows.setdefault(one["row"], []).append(
                Window(one["offsets"], one["null_index"], np.asarray(starts[at]), np.asarray(ends[at]))
            )
        guesses = []
        for row, context in enumerate(self._contexts):
            span = self._best(self._found(windows[row]))
            guesses.append("" if span is None else context[span.start : span.end])
        self._guessed = evaluation, guesses
        return guesses

    def encode_inputs(
        self, inputs: Sequence[Mapping[str, str]], encoder: TextEncoder, counts: Counts
    ) -> dict[str, Any]:
        columns = [list(texts) for texts in zip(*(one.values() for one in inputs), strict=True)]
        return self._windows(columns, encoder, counts)

    @torch.inference_mode()
    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],
    ) -> list[Guess]:
        model.eval()
        windows: list[list[Window]] = [[] for _ in inputs]
        for at, row in enumerate(encoded["row"]):
            batch = {name: [values[at]] for name, values in encoded.items() if name not in _OURS}
            found = model(**tokenizer.pad(batch, return_tensors="pt"))
            start, end = found.start_logits[0].double().numpy(), found.end_logits[0].double().numpy()
            if not (np.isfinite(start).all() and np.isfinite(end).all()):
                raise NotFinite("The model's outputs are NaN; the training has diverged.")
            windows[row].append(Window(encoded["offsets"][at], encoded["null_index"][at], start, end))
        return [self._guess(self._found(some), one) for some, one in zip(windows, inputs, strict=True)]

    def _guess(self, found: Found, one: Mapping[str, str]) -> SpanGuess:
        field, context = list(one.items())[-1]
        null = found.null_score if self._options.unanswerable else None
        span = self._best(found)
        if span is None:
            best = found.spans[0].score if found.spans else found.null_score
            return SpanGuess(answer="", field=field, start=None, end=None, score=best, no_answer_score=null)
        return SpanGuess(
            answer=context[span.start : span.end],
            field=field,
            start=span.start,
            end=span.end,
            score=span.score,
            no_answer_score=null,
        )

    def _found(self, windows: Sequence[Window]) -> Found:
        return find_spans(windows, self._options.n_best, self._options.max_answer_tokens)

    def _best(self, found: Found) -> Span | None:
        options = self._options
        return found.best(may_be_empty=options.unanswerable, null_threshold=options.null_threshold)

    def _windows(self, columns: Sequence[Sequence[str]], encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        """Returns the windows of some rows: token ids, the row of each, and the characters of the context of each token."""
        tokenizer = encoder.tokenizer
        if not tokenizer.is_fast:
            raise UnusableModel(
                "The model's tokenizer can't say which characters a token covers, which this task needs. Use a model with a "
                "tokenizer.json."
            )
        questions, contexts = self._short_questions(columns[0], tokenizer), list(columns[1])
        lengths = [len(ids) for ids in tokenizer(questions, add_special_tokens=False).input_ids]
        # Room for the context in a window, next to the question; windows must move forward.
        rooms = [encoder.max_length - length - tokenizer.num_special_tokens_to_add(pair=True) for length in lengths]
        if min(rooms) < 1:
            raise UnusableText(
                f"A question has {max(lengths)} tokens, which leaves no room for its context within max_length "
                f"({encoder.max_length}). Raise training.max_length."
            )
        # The windows of a row must not depend on the rows next to it, so each has its own overlap, which is nearly
        # always the same.
        overlaps = [min(self._options.overlap, room // 2) for room in rooms]
        windows: list[dict[str, Any]] = []
        for overlap in dict.fromkeys(overlaps):
            rows = [row for row, own in enumerate(overlaps) if own == overlap]
            some = [questions[row] for row in rows], [contexts[row] for row in rows]
            windows += _cut_windows(*some, rows, tokenizer, encoder.max_length, overlap)
        windows.sort(key=lambda window: window["row"])
        counts.texts += len(contexts)
        counts.tokens += sum(len(window["input_ids"]) for window in windows)
        return {name: [window[name] for window in windows] for name in windows[0]}

    def _short_questions(self, questions: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
        """Returns the questions cut to their maximum length, without leading spaces."""
        texts = [question.lstrip() for question in questions]
        places = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
        return [
            text[: place[_LONGEST_QUESTION - 1][1]] if len(place) > _LONGEST_QUESTION else text
            for text, place in zip(texts, places, strict=True)
        ]


def _cut_windows(
    questions: list[str],
    contexts: list[str],
    rows: Sequence[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    overlap: int,
) -> list[dict[str, Any]]:
    """Returns the windows of each question's context, in order. `rows`: the number of each question."""
    found = tokenizer(
        questions,
        contexts,
        truncation="only_second",
        max_length=max_length,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    names = [name for name in tokenizer.model_input_names if name in found]
    first = tokenizer.cls_token_id
    windows = []
    for at, (ids, places) in enumerate(zip(found["input_ids"], found["offset_mapping"], strict=True)):
        parts = found.sequence_ids(at)
        windows.append(
            {
                **{name: found[name][at] for name in names},
                "row": rows[found["overflow_to_sample_mapping"][at]],
                "offsets": [list(place) if part == 1 else [-1, -1] for place, part in zip(places, parts, strict=True)],
                "null_index": ids.index(first) if first in ids else 0,
            }
        )
    return windows
