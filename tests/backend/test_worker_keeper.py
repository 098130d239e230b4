"""A worker that exits is restarted, after increasing pauses."""

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rankscope.embedded import Child, start_child
from rankscope.settings import Settings
from rankscope.up import WorkerKeeper, growing_pauses


def test_pauses_double_up_to_a_minute() -> None:
    assert list(islice(growing_pauses(), 9)) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_worker_that_exits_at_once_is_started_again_after_growing_pauses(tmp_path: Path) -> None:
    """Uses the real keeper and real processes; each pause is recorded, but not waited for."""
    waited: list[float] = []
    starts: list[Child] = []
    is_enough = threading.Event()

    def start(settings: Settings) -> Child:
        starts.append(start_child(settings, "worker", ["false"], {}))
        return starts[-1]

    def pauses() -> Iterator[float]:
        for pause_s in growing_pauses():
            waited.append(pause_s)
            if len(waited) == 8:
                is_enough.set()
            yield 0 if len(waited) < 8 else 60

    said: list[str] = []
    keeper = WorkerKeeper(Settings(_env_file=None, data_dir=tmp_path), said.append, start, pauses)
    try:
        assert is_enough.wait(30)
    finally:
        keeper.stop()
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(starts) == 8
    assert [line for line in said if "restarted" in line] == said[:1], "the same reason is reported once"
