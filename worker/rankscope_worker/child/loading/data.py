"""Converts rows of text to token ids."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from datasets import Dataset, disable_progress_bars

from rankscope.catalog.data.splits import Split
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.model import UnusableModel

_UNKNOWN_WARNED = 0.1
_UNKNOWN_REFUSED = 0.5


class Notice(NamedTuple):
    """A notice about the texts; training continues."""

    code: str
    message: str
    next_step: str


@dataclass(frozen=True)
class TokenizedSplit:
    train: Dataset
    evaluation: Dataset
    notices: list[Notice]


def tokenized(
    split: Split, encoder: TextEncoder, max_length: int, targets: Callable[[Mapping[str, str]], Mapping[str, Any]]
) -> TokenizedSplit:
    """Returns the rows of both sides as token ids, truncated to `max_length` or the model's limit, with their `targets`.

    Not padded: a collator pads each batch to its longest row. Raises UnusableText or UnusableModel, naming the row.
    """
    disable_progress_bars()
    counts = Counts()

    def make(rows: Sequence[Mapping[str, str]], side: str) -> Dataset:
        columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in split.text_columns}

        def encode(batch: Mapping[str, list[str]], indices: list[int]) -> dict[str, Any]:
            return encoder.encode(
                [batch[name] for name in split.text_columns], lambda row: _row_name(split, side, indices[row]), counts
            )

        tokens = Dataset.from_dict(columns).map(
            encode,
            batched=True,
            with_indices=True,
            remove_columns=split.text_columns,
            new_fingerprint=side,  # otherwise the function is pickled to compute one
        )
        found = [targets(row) for row in rows]
        for name in found[0]:
            tokens = tokens.add_column(name, [target[name] for target in found])
        return tokens

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
