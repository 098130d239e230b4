"""Background reads run only once, are cached within limits, and never wait for a large file."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rankscope.catalog.data.background_reads import BackgroundReads, StillReading
from tests.stack import wait_for

LARGE = 1 << 30


def test_concurrent_callers_share_one_read() -> None:
    reads: BackgroundReads[int] = BackgroundReads(keep=8)
    calls, may_end, asking = [], threading.Event(), threading.Semaphore(0)

    def read() -> int:
        calls.append(1)
        may_end.wait(20)
        return 7

    def ask() -> int:
        asking.release()
        return reads.get("key", read, 1, timeout_s=20)

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask) for _ in range(20)]
        for _ in answers:
            assert asking.acquire(timeout=20)
        may_end.set()
        assert [answer.result() for answer in answers] == [7] * 20
    assert len(calls) == 1


def test_a_small_file_does_not_wait_for_a_large_one_and_large_ones_go_one_by_one() -> None:
    reads: BackgroundReads[str] = BackgroundReads(keep=8)
    may_end, started = threading.Event(), []

    def slow(name: str) -> str:
        started.append(name)
        may_end.wait(20)
        return name

    with pytest.raises(StillReading):
        reads.get("a", lambda: slow("a"), LARGE, timeout_s=0.0)
    with pytest.raises(StillReading):
        reads.get("b", lambda: slow("b"), LARGE, timeout_s=0.0)
    assert reads.get("small", lambda: "small", 1, timeout_s=20) == "small"
    wait_for("one large file to be read", lambda: len(started) == 1)
    may_end.set()
    assert [reads.get(name, lambda: "again", LARGE, timeout_s=20) for name in "ab"] == ["a", "b"]


def test_failures_are_not_cached_and_old_results_are_evicted() -> None:
    reads: BackgroundReads[int] = BackgroundReads(keep=2)
    with pytest.raises(ZeroDivisionError):
        reads.get(0, lambda: 1 // 0, 1, None)
    assert reads.get(0, lambda: 5, 1, None) == 5
    for key in (1, 2, 3):
        reads.get(key, lambda: 6, 1, None)
    assert reads.get(0, lambda: 8, 1, None) == 8
    assert reads.get(3, lambda: 9, 1, None) == 6
