"""The limit of failed sign-ins: its window, its addresses, and many threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

from rankscope.api.guard.auth import AttemptLimit
from rankscope.contract.errors import TooManyAttempts


def refused(limit: AttemptLimit, address: str) -> bool:
    try:
        limit.count_failure(address)
    except TooManyAttempts:
        return True
    return False


def test_limit_forgets_after_its_window_and_counts_addresses_apart() -> None:
    now = [0.0]
    limit = AttemptLimit(limit=2, window_s=60, clock=lambda: now[0])
    assert [refused(limit, "192.0.2.1") for _ in range(3)] == [False, False, True]
    assert not refused(limit, "192.0.2.2")
    now[0] = 60.0
    assert not refused(limit, "192.0.2.1")


def test_limit_counts_a_customers_ipv6_addresses_together() -> None:
    limit = AttemptLimit(limit=2)
    assert [refused(limit, f"2001:db8::{number}") for number in range(3)] == [False, False, True]
    assert not refused(limit, "2001:db8:0:1::1")
    assert [refused(limit, address) for address in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")][-1]


def test_limit_holds_from_many_threads_and_addresses() -> None:
    """Each check removed the oldest times and emptied entries while another thread read them: IndexError."""
    ticks = count()
    limit = AttemptLimit(limit=3, window_s=50, clock=lambda: float(next(ticks)))
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(refused, limit, f"192.0.2.{number % 5}") for number in range(4000)]:
            done.result()
        for done in [pool.submit(refused, limit, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(12_000)]:
            done.result()
    assert len(limit) == 10_000
