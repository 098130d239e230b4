"""EncodedRows holds what an encoder returned, row by row."""

from typing import Any

import pytest
from torch.utils.data import DataLoader

from rankscope_worker.child.loading.encoded_rows import EncodedRows

BATCHES: list[dict[str, list[Any]]] = [
    {"input_ids": [[1, 2], [3]], "labels": [0.5, 1], "offsets": [[(0, 1)], []]},
    {"input_ids": [[], [4, 5, 6]], "labels": [2, 3], "offsets": [[], []]},
    {"input_ids": [], "labels": [], "offsets": []},
    {"input_ids": [[7]], "labels": [4], "offsets": [[(2, 3), (4, 5)]]},
]


def test_rows_of_all_batches_are_kept_in_their_order() -> None:
    rows = EncodedRows.of(BATCHES)
    assert [row["input_ids"] for row in rows] == [[1, 2], [3], [], [4, 5, 6], [7]]
    assert [row["labels"] for row in rows] == [0.5, 1, 2, 3, 4]
    assert rows[4] == {"input_ids": [7], "labels": 4, "offsets": [[2, 3], [4, 5]]}
    assert rows[-1] == rows[4]
    assert [len(some) for some in DataLoader(rows, batch_size=2, collate_fn=list)] == [2, 2, 1]
    with pytest.raises(IndexError):
        rows[5]


def test_chosen_rows_are_numbered_anew() -> None:
    rows = EncodedRows.of(BATCHES).select([4, 1, 3])
    assert [row["input_ids"] for row in rows] == [[7], [3], [4, 5, 6]]
    assert [row["labels"] for row in rows.select([2, 0])] == [3, 4]


def test_a_side_may_be_empty() -> None:
    assert len(EncodedRows.of(())) == len(EncodedRows.of([{"input_ids": []}])) == 0
