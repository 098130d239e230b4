"""Converts rows of text to token ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.file_errors import UnusableModel

_UNKNOWN_WARNED = 0.1
_UNKNOWN_REFUSED = 0.5
_ROWS_AT_ONCE = 1000


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


class Batch(NamedTuple):
    """Some rows of one side."""

    rows: list[Row]
    """Only the text columns and the target."""
    indices: list[int]
    """Of the rows in their side."""
    name: Callable[[int], str]
    """Names a row of the batch for an error."""

    def texts(self, columns: Sequence[str]) -> list[list[str]]:
        return [[row[column] for row in self.rows] for column in columns]


class Encode(Protocol):
    def __call__(self, batch: Batch, /, *, counts: Counts) -> dict[str, Any]: ...


def tokenized(split: Split, encoder: TextEncoder, max_length: int, encode: Encode) -> TokenizedSplit:
    """Returns the rows of both sides as `encode` returns them: token ids, targets and what an evaluation needs, as columns.

    Truncated to `max_length` or the model's limit, and not padded: a collator pads each batch to its longest row.
    A row may give several encoded ones. Raises UnusableText or UnusableModel, naming the row.
    """
    counts = Counts()
    used = [*split.text_columns, *([split.target_column] if split.target_column is not None else [])]

    def make(rows: Sequence[Row], side: str) -> EncodedRows:
        def encode_some(start: int) -> dict[str, Any]:
            some = [{name: row[name] for name in used} for row in rows[start : start + _ROWS_AT_ONCE]]
            indices = list(range(start, start + len(some)))
            return encode(Batch(some, indices, lambda row: _row_name(split, side, indices[row])), counts=counts)

        return EncodedRows(encode_some(start) for start in range(0, len(rows), _ROWS_AT_ONCE))

    train, evaluation = make(split.train, "training"), make(split.evaluation, "evaluation")
    _check_unknown(counts)
    return TokenizedSplit(train, evaluation, list(_notices(counts, encoder.max_length, max_length)))


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
