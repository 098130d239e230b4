"""Job `tokenize_rows`: what a model would see of some rows of a data set, encoded by the same code as in training."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from transformers.utils import logging as transformers_logging

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.changed_inputs import check_dataset, check_model
from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.parts import Parts
from rankscope.catalog.data.single_rows import SingleRow, read_single_rows
from rankscope.catalog.data.splits import EQUAL_TEXT, Split
from rankscope.catalog.data.used_columns import columns_of
from rankscope.contract.config import RunConfig
from rankscope.contract.data.token_rows import (
    MOST_CHARACTERS,
    MOST_CUT_TOKENS,
    MOST_SEQUENCES,
    MOST_TOKENS,
    SAMPLED_ROWS,
    GivenText,
    TokenizePayload,
    TokenLengths,
    TokenName,
    TokenRow,
    TokenRows,
    TokenSequence,
    TokenSpan,
)
from rankscope.contract.errors import BadInput, InputsChanged
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope_worker.child.loading.causes import name_of, one_line, out_of_memory
from rankscope_worker.child.loading.data import Batch
from rankscope_worker.child.loading.encoding import Counts, TextEncoder, UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import empty_model, load_tokenizer
from rankscope_worker.child.loading.shown_tokens import TokenTexts, kept_places, ranges
from rankscope_worker.child.tasks import Learned, TrainedTask, trained_task

_MOST_READ = 20_000
"""Rows that are read to find enough that are used."""
_PARTS: TypeAdapter[Parts | None] = TypeAdapter(Parts | None)


def run(settings: Settings, payload: Payload, report: Callable[[float], None]) -> Payload:
    """Returns the tokens of the rows, and the lengths of a sample of all rows."""
    request = TokenizePayload.model_validate(payload)
    config = RunConfig.model_validate(request.config)
    catalog = Catalog(settings)
    model = catalog.model(config.model.id)
    check_model(model, request.model_fingerprint)
    dataset = catalog.dataset(config.data.id, fingerprint=request.data_fingerprint)
    check_dataset(dataset, request.data_fingerprint)
    transformers_logging.set_verbosity_error()  # it warns about every row above the model's limit
    task = trained_task(config.task, request.labels)
    tokenizer = load_tokenizer(model.folder)
    encoder = TextEncoder(tokenizer, empty_model(model.folder, task.head(), tokenizer), config.training.max_length)
    report(0.3)
    reader = _Rows(catalog, dataset, config, request)
    seen = Seen(task, reader.split, encoder)
    rows = [seen.row(one) for one in reader.read(range(request.first, request.first + request.rows))]
    lengths = _lengths(reader, seen, dataset.rows or 0) if request.with_lengths else None
    return TokenRows(rows=rows, lengths=lengths, max_length=encoder.max_length).model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if out_of_memory(error) is not None:
        return f"The worker's memory ran out: {one_line(error)}", "Free memory on the worker's host, then try again."
    if isinstance(error, InputsChanged):
        return one_line(error), "Reload the page, so that it uses the new files."
    if isinstance(error, BadInput):
        return f"The run's {error.problems[0].message.rstrip('.')}.", error.problems[0].next_step or "Try again."
    if isinstance(error, UnusableModel):
        return one_line(error), "Use another model, or repair its files."
    return (
        f"The rows can't be tokenized: {name_of(error)}",
        "Try again. If it fails in the same way, report it with the end of the worker's log.",
    )


class _Rows:
    """Reads single rows in the same way as the run's split."""

    def __init__(self, catalog: Catalog, dataset: DatasetEntry, config: RunConfig, request: TokenizePayload) -> None:
        self._dataset, self._config, self._spellings = dataset, config, request.spellings
        self._columns = columns_of(dataset, config.data, config.task)
        parts = None if request.parts is None else request.parts.model_dump()
        self._parts = _PARTS.validate_python(parts)
        columns = self._columns
        self.split = Split([], [], list(columns.text), columns.label, columns.group, request.labels)
        self._limits = _Limits(catalog, dataset, config)
        self.used_rows = self._limits.used_rows

    def read(self, numbers: Sequence[int]) -> list[SingleRow]:
        data, task = self._config.data, self._config.task
        found = read_single_rows(self._dataset, self._columns, data, task, self._parts, self._spellings, numbers)
        return [self._limits.applied(one) for one in found]


class _Limits:
    """Leaves out rows that max_train_rows, max_eval_rows or drop_equal_texts leave out, which depends on all rows."""

    def __init__(self, catalog: Catalog, dataset: DatasetEntry, config: RunConfig) -> None:
        data = config.data
        whole = data.model_copy(update={"max_train_rows": None, "max_eval_rows": None})
        self._sampled: dict[str, tuple[str, int, Sequence[int]]] = {}
        self._different: Sequence[int] | None = None
        """Lines of the training rows, in ascending order."""
        self.used_rows: int | None = None
        """Null if all rows can be used."""
        if data.max_train_rows is not None or data.max_eval_rows is not None:
            lines = catalog.used_lines(dataset, data, config.task)
            if data.max_train_rows is not None:
                self._sampled["train"] = ("max_train_rows", data.max_train_rows, lines.train)
            if data.max_eval_rows is not None:
                self._sampled["evaluation"] = ("max_eval_rows", data.max_eval_rows, lines.evaluation)
            self.used_rows = len(lines.train) + len(lines.evaluation)
        if data.drop_equal_texts:
            self._different = catalog.used_lines(dataset, whole, config.task).train

    def applied(self, one: SingleRow) -> SingleRow:
        if one.side == "train" and self._different is not None and not _is_in(self._different, one.line):
            return replace(one, side=None, row=None, left_out=f"{EQUAL_TEXT} (data.drop_equal_texts)")
        if one.side is not None and one.side in self._sampled:
            name, at_most, lines = self._sampled[one.side]
            if not _is_in(lines, one.line):
                sample = f"not in the random sample of {at_most:,} rows that data.{name} takes"
                return replace(one, side=None, row=None, left_out=sample)
        return one


class Seen:
    """Encodes single rows with the task's code, with and without truncation."""

    def __init__(self, task: TrainedTask, split: Split, encoder: TextEncoder) -> None:
        self._task, self._split, self._encoder = task, split, encoder
        self._whole_encoder = encoder.uncut()
        self._texts = TokenTexts(encoder.tokenizer)

    def encoded(self, row: Row, *, whole: bool = False) -> list[dict[str, Any]]:
        """Returns a row as the training gets it; several if it is read in windows. `whole`: without truncation."""
        encoder = self._whole_encoder if whole else self._encoder
        found = self._task.encode_batch(Batch([row], [0], lambda _: "The row"), self._split, encoder, Counts())
        return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]

    def length(self, row: Row) -> tuple[int, bool]:
        """Returns the row's number of tokens, and whether the model sees less of it or reads it in parts."""
        whole, kept = self.encoded(row, whole=True)[0], self.encoded(row)
        is_cut = len(kept) > 1 or len(kept[0]["input_ids"]) < len(whole["input_ids"])
        targets = [self._task.learned(row, one, self._split).target_ids or () for one in (kept[0], whole)]
        return len(whole["input_ids"]), is_cut or len(targets[0]) < len(targets[1])

    def row(self, one: SingleRow) -> TokenRow:
        blank = TokenRow(
            number=one.number,
            line=one.line,
            side=one.side,
            left_out=one.left_out,
            problem=None,
            texts=[],
            target=None,
            sequences=[],
            n_unlisted_sequences=0,
        )
        if one.row is None:
            return blank
        try:
            whole = self.encoded(one.row, whole=True)
            whole_target = self._task.learned(one.row, whole[0], self._split).target_ids
            kept = self.encoded(one.row)
        except UnusableText as error:
            return blank.model_copy(update={"problem": one_line(error)})
        learned = [self._task.learned(one.row, each, self._split) for each in kept]
        sequences = []
        if len(kept) == 1:
            sequences.append(self._sequence("Input", kept[0]["input_ids"], whole[0]["input_ids"], learned[0]))
        else:
            for number, (each, of_each) in enumerate(zip(kept[:MOST_SEQUENCES], learned, strict=False), 1):
                ids = each["input_ids"]
                sequences.append(self._sequence(f"Window {number} of {len(kept)}", ids, ids, of_each))
        target = learned[0].target_ids
        if target is not None:
            every = Learned(places=range(len(target)))
            sequences.append(self._sequence("Target", target, whole_target or target, every))
        given = self._task.given_texts(one.row, self._split, self._encoder)
        return blank.model_copy(
            update={
                "left_out": learned[0].left_out,
                "side": one.side if learned[0].left_out is None else None,
                "texts": [GivenText(title=title, text=_shortened(text)) for title, text in given.items()],
                "target": None if learned[0].target is None else _shortened(learned[0].target),
                "sequences": sequences,
                "n_unlisted_sequences": max(0, len(kept) - MOST_SEQUENCES),
            }
        )

    def _sequence(self, title: str, kept: Sequence[int], whole: Sequence[int], learned: Learned) -> TokenSequence:
        places = kept_places(kept, whole)
        n_cut = len(whole) - len(kept)
        if places is None:  # shown without the truncated part
            whole, places = kept, list(range(len(kept)))
        seen = set(places)
        listed: list[int] = []
        n_listed_cut = 0
        for place in range(len(whole)):
            n_listed_cut += place not in seen
            if len(listed) < MOST_TOKENS and (place in seen or n_listed_cut <= MOST_CUT_TOKENS):
                listed.append(place)
        at = {place: index for index, place in enumerate(listed)}
        names = [
            TokenName(start=at[places[start]], end=at[places[end - 1]] + 1, name=name)
            for start, end, name in learned.names
            if places[start] in at and places[end - 1] in at
        ]
        return TokenSequence(
            title=title,
            ids=[int(whole[place]) for place in listed],
            texts=self._texts.of(int(whole[place]) for place in listed),
            cut=_spans(index for index, place in enumerate(listed) if place not in seen),
            learned=_spans(at[places[place]] for place in learned.places if places[place] in at),
            names=names,
            seen=len(kept),
            n_cut=n_cut,
            n_unlisted=len(kept) + n_cut - len(listed),
        )


def _is_in(rising: Sequence[int], wanted: int) -> bool:
    at = bisect_left(rising, wanted)
    return at < len(rising) and rising[at] == wanted


def _spans(places: Iterable[int]) -> list[TokenSpan]:
    return [TokenSpan(start=start, end=end) for start, end in ranges(places)]


def _lengths(reader: _Rows, seen: Seen, n_rows: int) -> TokenLengths | None:
    """Counts the tokens of all rows, or of a random sample that is the same each time."""
    every = range(1, n_rows + 1)
    used = n_rows if reader.used_rows is None else max(1, reader.used_rows)
    # Sample enough rows that about SAMPLED_ROWS of them are used: a small limit leaves out most rows of a large set.
    wanted = min(_MOST_READ, -(-SAMPLED_ROWS * n_rows // used))
    numbers = every if n_rows <= wanted else sorted(random.Random(0).sample(every, wanted))
    lengths: list[int] = []
    over = 0
    for one in reader.read(numbers):
        if one.row is None or len(lengths) == SAMPLED_ROWS:
            continue
        try:
            length, is_cut = seen.length(one.row)
        except UnusableText:
            continue
        lengths.append(length)
        over += is_cut
    if not lengths:
        return None
    lengths.sort()
    return TokenLengths(
        rows=len(lengths),
        of_rows=n_rows,
        is_sample=used > SAMPLED_ROWS or n_rows > wanted,
        over=over,
        median=lengths[len(lengths) // 2],
        most_up_to=lengths[min(len(lengths) - 1, len(lengths) * 95 // 100)],
        longest=lengths[-1],
    )


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
