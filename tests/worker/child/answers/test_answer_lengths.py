"""The lengths of answers, compared with a loop over the rows."""

import random
from array import array

import pytest

from rankscope_worker.child.answers.answer_lengths import Length, Lengths, length_notices, rows_with_answers
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import UnusableText

MAX_LENGTH = 20
DICE = random.Random(0)
ROWS = [
    Length(end + DICE.randint(0, 2), DICE.randint(0, end - 1), end) for end in (DICE.randint(1, 40) for _ in range(200))
]


def lengths(rows: list[Length]) -> Lengths:
    return Lengths.noted({name: array("q", [getattr(row, name) for row in rows]) for name in Length._fields})


def test_rows_with_an_answer_are_those_of_a_loop() -> None:
    expected = [at for at, row in enumerate(ROWS) if row.has_answer(MAX_LENGTH)]
    assert 0 < len(expected) < len(ROWS)
    assert lengths(ROWS).with_answer(MAX_LENGTH) == expected
    encoded = EncodedRows.of([{"input_ids": [[at] for at in range(len(ROWS))]}])
    kept = rows_with_answers(encoded, lengths(ROWS), MAX_LENGTH, "training")
    assert [row["input_ids"] for row in kept] == [[at] for at in expected]


def test_the_notices_count_the_rows_of_a_loop() -> None:
    lost = sum(not row.has_answer(MAX_LENGTH) for row in ROWS)
    cut = sum(row.begin < MAX_LENGTH < row.end for row in ROWS)
    found = [notice.message.split(" of 200 rows")[0] for notice in length_notices(lengths(ROWS), MAX_LENGTH)]
    assert found == [f"{lost}", f"The answers of {cut}"]
    assert list(length_notices(lengths(ROWS), 100)) == []


def test_a_side_without_answers_is_refused_with_the_shortest_prompt() -> None:
    rows = [Length(40, 30, 40), Length(40, 25, 40)]
    with pytest.raises(UnusableText, match=r"Set training\.max_length above 25"):
        rows_with_answers(EncodedRows.of([{"input_ids": [[1], [2]]}]), lengths(rows), MAX_LENGTH, "training")
