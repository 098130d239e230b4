"""EncodedRows: the encoded rows of one side of a split, held in Arrow's columns instead of Python's objects."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
from torch.utils.data import Dataset


class EncodedRows(Dataset[dict[str, Any]]):
    """A token takes 8 bytes here; as an integer in a list it would take 36.

    The rows of a batch of columns, e.g. `{"input_ids": [[1, 2], [3]], "labels": [0, 1]}`, follow those of the batches before it.
    """

    def __init__(self, batches: Iterable[Mapping[str, Sequence[Any]]]) -> None:
        tables = [pa.Table.from_pydict(dict(batch)) for batch in batches]
        # A column may be empty lists in one batch and integers in another.
        whole = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
        self._blocks = [block for block in whole.to_batches() if block.num_rows]
        self._starts = [0, *accumulate(block.num_rows for block in self._blocks)]
        self._chosen: Sequence[int] = range(self._starts[-1])

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
        chosen = EncodedRows(())
        chosen._blocks, chosen._starts = self._blocks, self._starts
        chosen._chosen = [self._chosen[index] for index in indices]
        return chosen
