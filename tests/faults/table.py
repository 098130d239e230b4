"""The table: each kind of fault, how many cases of it, and what plays them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.child_kills import child_kills
from tests.faults.harness import Harness, Result


@dataclass(frozen=True)
class Row:
    key: str
    count: int
    play: Callable[[Harness, Sequence[int]], Result]
    is_in_the_table: bool = True
    """False: only when asked for by `--only`."""


TABLE = [
    Row("child", 40, child_kills),
]
