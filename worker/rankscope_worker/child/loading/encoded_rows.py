"""EncodedRows: the encoded rows of one side of a split, held in Arrow's columns instead of Python's objects."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
from torch.utils.data import Dataset

Columns = Mapping[str, Sequence[Any]]
"""A batch of rows, for example `{"input_ids": [[1, 2], [3]], "labels": [0, 1]}`."""


class EncodedRows(Dataset[dict[str, Any]]):
    """A token takes 8 bytes here; as an integer in a list it would take 36. Rows of a file are read on use."""

    def __init__(self, table: pa.Table) -> None:
        self._blocks = [block for block in table.to_batches() if block.num_rows]
        self._starts = [0, *accumulate(block.num_rows for block in self._blocks)]
        self._chosen: Sequence[int] = range(self._starts[-1])

    @classmethod
    def of(cls, batches: Iterable[Columns]) -> "EncodedRows":
        """Returns the rows of the batches in their order."""
        tables = [pa.Table.from_pydict(dict(batch)) for batch in batches]
        # A column may contain empty lists in one batch and integers in another.
        return cls(pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({}))

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self._chosen[index]
        block = bisect_right(self._starts, row) - 1
        found: dict[str, Any] = self._blocks[block].slice(row - self._starts[block], 1).to_pylist()[0]
        return found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def select(self, indices: Sequence[int]) -> "EncodedRows":
        """Returns these rows, without copying them."""
        chosen = EncodedRows(pa.table({}))
        chosen._blocks, chosen._starts = self._blocks, self._starts
        chosen._chosen = [self._chosen[index] for index in indices]
        return chosen
