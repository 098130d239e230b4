"""Converts rows of text to token ids."""

import json
import logging
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import tokenizers
import transformers

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.catalog.imported.encoded import entry_prefix
from rankscope_worker.child.loading.causes import one_line
from rankscope_worker.child.loading.encoded_file import DoesNotFit
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.token_cache import CacheFull, StoredRows

_log = logging.getLogger(__name__)
_UNKNOWN_WARNED = 0.1
_UNKNOWN_REFUSED = 0.5
_ROWS_AT_ONCE = 1000
_ROWS_COMPARED = 8
_METHOD = 1
"""Increase it when the encoding of rows changes."""
_NUMBERS = ("texts", "with_special", "tokens", "unknown")
_CUT = "cut"


class Notice(NamedTuple):
    """A notice about the texts; training continues."""

    code: str
    message: str
    next_step: str


@dataclass(frozen=True)
class TokenizedSplit:
    train: EncodedRows
    evaluation: EncodedRows
    notices: list[Notice]
    counts: Counts = field(default_factory=Counts)


class Batch(NamedTuple):
    """Some rows of one side."""

    rows: list[Row]
    """Only the text columns and the target."""
    indices: list[int]
    """Indices of the rows in their side."""
    name: Callable[[int], str]
    """Names a row of the batch for an error."""

    def texts(self, columns: Sequence[str]) -> list[list[str]]:
        return [[row[column] for row in self.rows] for column in columns]


class Encode(Protocol):
    def __call__(self, batch: Batch, /, *, counts: Counts) -> dict[str, Any]: ...


def tokenized(split: Split, encoder: TextEncoder, max_length: int, encode: Encode) -> TokenizedSplit:
    """Returns the rows of both sides as `encode` returns them: token ids, targets and what an evaluation needs, as columns.

    Truncated to `max_length` or the model's limit, and not padded: a collator pads each batch to its longest row.
    A row may produce several encoded rows. Raises UnusableText or UnusableModel, naming the row.
    """
    sides = {"train": _Side(split.train, "training"), "evaluation": _Side(split.evaluation, "evaluation")}
    used = [*split.text_columns, *([split.target_column] if split.target_column is not None else [])]

    def encode_some(side: _Side, start: int, rows: int, counts: Counts) -> dict[str, Any]:
        some = [{name: row[name] for name in used} for row in side.rows[start : start + rows]]
        indices = list(range(start, start + len(some)))
        return encode(Batch(some, indices, lambda row: _row_name(split, side.name, indices[row])), counts=counts)

    found = _cached(split, encoder, sides, encode_some)
    if found is None:
        began, counts = time.monotonic(), Counts()
        train, evaluation = (EncodedRows.of(_batches(side, encode_some, counts)) for side in sides.values())
        found = TokenizedSplit(train, evaluation, [], counts)
        _log.info("Tokenized %s in %.1f s.", _size(split), time.monotonic() - began)
    _check_unknown(found.counts)
    return replace(found, notices=list(_notices(found.counts, encoder.max_length, max_length)))


class _Side(NamedTuple):
    rows: Sequence[Row]
    name: str


class _EncodeSome(Protocol):
    def __call__(self, side: _Side, start: int, rows: int, counts: Counts, /) -> dict[str, Any]: ...


def _batches(side: _Side, encode_some: _EncodeSome, counts: Counts) -> Iterator[dict[str, Any]]:
    return (encode_some(side, start, _ROWS_AT_ONCE, counts) for start in range(0, len(side.rows), _ROWS_AT_ONCE))


def _cached(
    split: Split, encoder: TextEncoder, sides: Mapping[str, _Side], encode_some: _EncodeSome
) -> TokenizedSplit | None:
    """Returns the rows from the cache, writing them to it first if necessary; None if they are not cached."""
    cache = encoder.cache
    if cache is None or not split.key or not cache.is_worth(len(split.train) + len(split.evaluation)):
        return None
    key = _key(split, encoder, cache.tokenizer)
    began = time.monotonic()
    stored = cache.find(key)
    if stored is not None:
        # Also puts the tokenizer, which is exported with the adapter, into the same state as after encoding.
        if _begins_with(stored.train, encode_some(sides["train"], 0, _ROWS_COMPARED, Counts())):
            _log.info("Took the tokens of %s from the cache in %.1f s.", _size(split), time.monotonic() - began)
            return TokenizedSplit(stored.train, stored.evaluation, [], _counts(stored))
        _log.warning("The stored tokens are not those of this version, so they are made again.")
        cache.remove(key)
    counts = Counts()
    try:
        written = cache.write(
            key,
            {name: _batches(side, encode_some, counts) for name, side in sides.items()},
            lambda: (
                {name: getattr(counts, name) for name in _NUMBERS},
                {_CUT: array("q", counts.cut), **counts.noted},
            ),
        )
    except (CacheFull, DoesNotFit, OSError) as error:
        _log.warning("The tokens can't be kept for the next run (%s), so they are kept in memory.", one_line(error))
        return None
    _log.info("Tokenized %s in %.1f s, and kept the tokens for the next run.", _size(split), time.monotonic() - began)
    return TokenizedSplit(written.train, written.evaluation, [], _counts(written))


def _key(split: Split, encoder: TextEncoder, tokenizer: str) -> str:
    parts = [_METHOD, split.key, split.labels, tokenizer, encoder.key, transformers.__version__, tokenizers.__version__]
    return entry_prefix(split.fingerprint) + sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _begins_with(rows: EncodedRows, batch: Mapping[str, Sequence[Any]]) -> bool:
    return all(index < len(rows) and rows[index] == row for index, row in enumerate(EncodedRows.of([batch])))


def _counts(stored: StoredRows) -> Counts:
    noted = {name: values for name, values in stored.noted.items() if name != _CUT}
    return Counts(cut=stored.noted[_CUT].tolist(), noted=noted, **stored.counts)


def _size(split: Split) -> str:
    return f"{len(split.train):,} training and {len(split.evaluation):,} evaluation rows"


def _row_name(split: Split, side: str, index: int) -> str:
    columns = " and ".join(split.text_columns)
    return f"{side} row {index + 1} (column {columns})"


def _check_unknown(counts: Counts) -> None:
    if counts.unknown_share > _UNKNOWN_REFUSED:
        raise UnusableModel(
            f"The model's tokenizer does not know {counts.unknown_share:.0%} of the tokens in the texts: its vocabulary is "
            "another language's, or its files are not this model's."
        )


def _notices(counts: Counts, limit: int, max_length: int) -> Iterator[Notice]:
    if limit < max_length:
        yield Notice(
            "max_length_capped",
            f"max_length is {max_length}, but the model accepts at most {limit} tokens, so texts are truncated "
            f"({len(counts.cut)} of {counts.texts} rows).",
            f"Set max_length to {limit}, or use a model with more positions.",
        )
    if counts.unknown_share > _UNKNOWN_WARNED:
        yield Notice(
            "unknown_tokens",
            f"The model's tokenizer does not know {counts.unknown_share:.0%} of the tokens in the texts.",
            "Use a model whose vocabulary fits the texts.",
        )
    if counts.with_special:
        yield Notice(
            "special_tokens_in_texts",
            f"{counts.with_special} of {counts.texts} rows contain special tokens of the tokenizer, treated as plain text.",
            "Nothing to do, unless they separate parts of a text: then use two text columns.",
        )
