"""The table: each kind of fault, its number of cases, and the function that plays them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.child_kills import child_kills
from tests.faults.damaged_checkpoints import damaged_checkpoints
from tests.faults.database_faults import postgres_restarts, sqlite_locks
from tests.faults.full_disks import full_disks
from tests.faults.harness import Harness, Result
from tests.faults.messages import lost_and_doubled_messages
from tests.faults.process_faults import api_kills, frozen_workers, valkey_kills, worker_kills
from tests.faults.soak import soak


@dataclass(frozen=True)
class Row:
    key: str
    count: int
    play: Callable[[Harness, Sequence[int]], Result]
    unit: str = "faults"
    """Unit of `count`."""


TABLE = [
    Row("child", 40, child_kills),
    Row("worker", 20, worker_kills),
    Row("api", 20, api_kills),
    Row("valkey", 20, valkey_kills),
    Row("freeze", 20, frozen_workers),
    Row("postgresql", 10, postgres_restarts),
    Row("sqlite", 10, sqlite_locks),
    Row("messages", 200, lost_and_doubled_messages, unit="runs"),
    Row("disk", 5, full_disks),
    Row("damage", 20, damaged_checkpoints),
    Row("soak", 30, soak, unit="minutes"),
]
