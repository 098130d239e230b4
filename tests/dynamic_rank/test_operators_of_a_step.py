"""A step of dynamic rank dispatches hardly more operators than one of LoRA, and fewer after the final mask."""

from tests.bench.dispatch import measure
from tests.bench.rows import Rows


def test_operators_and_synchronisations_of_a_step_stay_within_their_limits() -> None:
    rows = Rows("dispatch")
    measure(rows, ["BERT-mini"])
    assert len(rows.rows) == 12
    assert [row for row in rows.rows if not row.passes] == []
