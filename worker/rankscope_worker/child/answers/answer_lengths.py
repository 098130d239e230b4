"""Where the answers of rows are, in tokens, and which rows keep one within the maximum length.

A data set may have millions of rows, and a run that takes their tokens from the cache should start within seconds. So the
lengths of all rows are arrays, and nothing here loops over rows in Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rankscope_worker.child.loading.data import Notice
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import UnusableText


class Length(NamedTuple):
    """The length of a row in tokens, before it is truncated, and where its answers begin and end."""

    tokens: int
    begin: int
    end: int

    def has_answer(self, max_length: int) -> bool:
        """Whether at least one token of an answer is within `max_length`."""
        return self.begin < min(self.end, max_length)


class Lengths(NamedTuple):
    """The lengths of several rows, each array (rows,)."""

    tokens: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]

    @classmethod
    def noted(cls, notes: Mapping[str, Sequence[int]]) -> Self:
        """Returns the lengths that were noted with the names of the fields of `Length`."""
        return cls(*(np.asarray(notes[name], dtype=np.int64) for name in cls._fields))

    def of(self, rows: slice) -> "Lengths":
        return Lengths(*(values[rows] for values in self))

    def have_answer(self, max_length: int) -> npt.NDArray[np.bool_]:
        """Whether at least one token of an answer is within `max_length`, for each row."""
        return self.begin < np.minimum(self.end, max_length)

    def with_answer(self, max_length: int) -> list[int]:
        """Returns the indices of the rows with at least one token of an answer within `max_length`."""
        indices: list[int] = np.flatnonzero(self.have_answer(max_length)).tolist()
        return indices


def rows_with_answers(side: EncodedRows, lengths: Lengths, max_length: int, name: str) -> EncodedRows:
    """Returns the rows with at least one token of an answer within `max_length`."""
    kept = lengths.with_answer(max_length)
    if not kept:
        raise UnusableText(
            f"In every {name} row, the prompt alone fills the {max_length} tokens of max_length, so that no answer is left. "
            f"Set training.max_length above {lengths.begin.min()}, the length of the shortest prompt, or use shorter prompts."
        )
    return side if len(kept) == len(side) else side.select(kept)


def length_notices(lengths: Lengths, max_length: int) -> Iterator[Notice]:
    rows, longest = len(lengths.tokens), lengths.tokens.max()
    lost = int((~lengths.have_answer(max_length)).sum())
    cut = int(((lengths.begin < max_length) & (max_length < lengths.end)).sum())
    if lost:
        yield Notice(
            "answers_lost",
            f"{lost} of {rows} rows are left out, because their prompts alone fill the {max_length} tokens of max_length.",
            f"Set max_length to {longest} to keep every answer, or use shorter prompts.",
        )
    if cut:
        yield Notice(
            "answers_cut",
            f"The answers of {cut} of {rows} rows are truncated to {max_length} tokens in all.",
            f"Set max_length to {longest} to keep every answer.",
        )
