"""Celery messages that are dropped and duplicated at random between API and workers: the queue's order must not change.

The API sends to one database of Valkey, and the workers read another one; a carrier between them transfers each message
zero, one or two times.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import redis
from sqlalchemy import select, text
from sqlmodel import col

from rankscope.contract.status import CLAIMABLE, RunStatus
from rankscope.contract.tables import Run
from rankscope.launch.enqueue import QUEUE
from rankscope.store.database.engine import reading
from tests.faults.checks import Breach, check_run
from tests.faults.harness import Harness, Result
from tests.faults.installation import Installation
from tests.faults.subjects import SUBJECTS
from tests.faults.trace import trace

_WORKERS = 4
_CONFIG: dict[str, Any] = SUBJECTS["lora"] | {"training": SUBJECTS["lora"]["training"] | {"max_steps": 3}}


def lost_and_doubled_messages(harness: Harness, numbers: Sequence[int]) -> Result:
    """Three in five runs are queued before the first worker starts, the others while four workers work."""
    result, chance, began = Result("messages"), harness.chance("messages", 0), time.monotonic()
    result.kinds.append("order")
    with harness.installation(workers=0, broker_database=1) as installation:
        installation.environment["RANKSCOPE_FAULTS_TRAINING"] = "short"
        carrier = Carrier(installation, chance)
        early = len(numbers) * 3 // 5
        launched = [_launch(installation, chance, number) for number in numbers[:early]]
        for number in range(_WORKERS):
            installation.start_worker(f"w{number}")
        launched += [_launch(installation, chance, number) for number in numbers[early:]]
        for run_id in launched:
            installation.until_ended(run_id)
        result.faults += carrier.stop()
        result.runs = len(launched)
        undisturbed = trace(installation, launched[0])
        executors = installation.executors()
        for run_id in launched:
            result.breaches += check_run(installation, run_id, undisturbed)
            if executors[run_id, 1] != 1 or installation.run(run_id).attempt != 1:
                result.breaches.append(Breach("executor", run_id, f"{executors[run_id, 1]} executions of attempt 1"))
        result.breaches += out_of_order(installation)
    result.seconds = time.monotonic() - began
    return result


def _launch(installation: Installation, chance: Random, number: int) -> str:
    # Viewers of all runs would take two hundred threads, so only one run in ten is watched.
    viewers = (None,) if number % 10 == 0 else ()
    return installation.launch(_CONFIG, priority=chance.randint(-1, 2), viewers=viewers)


class Carrier:
    """Transfers messages, or drops them."""

    def __init__(self, installation: Installation, chance: Random) -> None:
        assert installation.valkey
        url = installation.valkey.url.rpartition("/")[0]
        self._from, self._to = redis.Redis.from_url(f"{url}/1"), redis.Redis.from_url(f"{url}/0")
        self._chance = chance
        self._counts: Counter[str] = Counter()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="carrier", daemon=True)
        self._thread.start()

    def stop(self) -> Counter[str]:
        self._ending.set()
        self._thread.join()
        self._from.close()
        self._to.close()
        return self._counts

    def _carry(self) -> None:
        words = ("message dropped", "", "message doubled")
        while not self._ending.is_set():
            taken: Any = self._from.brpop([QUEUE], timeout=1)
            if taken is None:
                continue
            copies = self._chance.randrange(3)
            if words[copies]:
                self._counts[words[copies]] += 1
            for _ in range(copies):
                self._to.lpush(QUEUE, taken[1])


def out_of_order(installation: Installation) -> list[Breach]:
    """Replays all status changes in the order of their commits (SQLite's rowid) and checks every start."""
    changes = text("SELECT run_id, json_extract(payload, '$.status') FROM event WHERE kind = 'status' ORDER BY rowid")
    with reading(installation.engine) as session:
        places = {
            run_id: (-priority, order, run_id)
            for run_id, priority, order in session.execute(select(col(Run.id), col(Run.priority), col(Run.queue_order)))
        }
        history = [(run_id, RunStatus(status)) for run_id, status in session.execute(changes)]
    waiting: set[str] = set()
    found = []
    for run_id, status in history:
        if status in CLAIMABLE:
            waiting.add(run_id)
        elif status == RunStatus.starting:
            best = min(waiting, key=places.__getitem__)
            if best != run_id:
                found.append(Breach("order", run_id, f"it started before run {best}"))
            waiting.discard(run_id)
        else:
            waiting.discard(run_id)
    return found
