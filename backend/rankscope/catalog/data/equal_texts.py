"""Equal texts on both sides of a split: found from eight bytes of a hash of each text, so that no text is kept."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.row_reader import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

_EXAMPLES = 3
_LONGEST = 300


@dataclass(frozen=True)
class EqualText:
    text: str
    train_line: int
    eval_line: int


@dataclass(frozen=True)
class EqualTexts:
    """The evaluation rows whose text is also that of a training row."""

    eval_rows: int = 0
    texts: int = 0
    """Number of different texts."""
    examples: tuple[EqualText, ...] = ()


@dataclass(frozen=True)
class NotedTexts:
    """The rows of one side: a hash of the text of each, and its line."""

    hashes: "array[int]"
    lines: "array[int]"


def find_equal_texts(entry: DatasetEntry, columns: Columns, train: NotedTexts, evaluation: NotedTexts) -> EqualTexts:
    """Reads only the example rows again."""
    if not evaluation.hashes:
        return EqualTexts()
    of_train = array("Q", compress(train.hashes, is_in(train.hashes, evaluation.hashes).tolist()))
    found = is_in(evaluation.hashes, of_train).nonzero()[0]
    lines: dict[int, tuple[int, int]] = {}
    """By hash: the first lines with this text, in training and in evaluation."""
    for index in found:
        text = evaluation.hashes[index]
        if text not in lines:
            lines[text] = (train.lines[train.hashes.index(text)], evaluation.lines[index])
        if len(lines) == _EXAMPLES:
            break
    texts = _read(entry, columns, {line for line, _ in lines.values()})
    examples = tuple(EqualText(texts.get(at, ""), at, other) for at, other in lines.values())
    return EqualTexts(len(found), count_different(of_train), examples)


def _read(entry: DatasetEntry, columns: Columns, lines: set[int]) -> dict[int, str]:
    texts: dict[int, str] = {}
    if lines:
        with entry.open(columns.text) as table:
            for line, record in table.records:
                if line in lines:
                    text = " | ".join(plain(table.separator, record.get(column)) for column in columns.text)
                    texts[line] = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
                    if len(texts) == len(lines):
                        break
    return texts


def is_in(hashes: "array[int]", others: "array[int]") -> "NDArray[np.bool_]":
    """Returns for each of `hashes` whether it is one of `others`. Sorts a copy of `others`, so give it the shorter one."""
    known = np.unique(as_hashes(others))
    if not len(known):
        return np.zeros(len(hashes), dtype=np.bool_)
    values = as_hashes(hashes)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    found: NDArray[np.bool_] = known[places] == values
    return found


def count_different(hashes: "array[int]") -> int:
    return len(np.unique(as_hashes(hashes)))


def count_common(one: "array[int]", other: "array[int]") -> int:
    return len(np.intersect1d(as_hashes(one), as_hashes(other)))


def as_hashes(hashes: "array[int]") -> "Hashes":
    return np.asarray(hashes, dtype=np.uint64)  # shares the memory


def chosen(hashes: "array[int]", indices: Sequence[int]) -> "array[int]":
    """Returns the hashes at these indices; an empty array stays empty."""
    if isinstance(indices, range) or not hashes:
        return hashes
    return array(hashes.typecode, (hashes[index] for index in indices))
