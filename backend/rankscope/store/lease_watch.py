"""Whose lease has lapsed, without asking any clock on the wall."""

from collections.abc import Iterable

from rankscope.store.queue import Lease


class LeaseWatch:
    """Which leases have not moved for `after_s`, by this process's own monotonic clock.

    A renewal changes the row, so that no wall clock is needed to see it: hosts whose clocks differ, or jump, neither
    take each other's runs nor leave a lost one alone.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._seen: dict[Lease, float] = {}

    def lapsed(self, held: Iterable[Lease], now: float) -> list[Lease]:
        """Those of `held` that were first seen, as they are, `after_s` ago. `now`: monotonic seconds."""
        self._seen = {lease: self._seen.get(lease, now) for lease in held}
        return [lease for lease, since in self._seen.items() if now - since > self._after_s]

    def unchanged_s(self, lease: Lease, now: float) -> float | None:
        """For how long this process has seen the lease as it is; None if it has been renewed since the last look."""
        since = self._seen.get(lease)
        return None if since is None else now - since
